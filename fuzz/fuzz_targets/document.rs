//! See the module `document` of the library.
#![cfg_attr(fuzzing, no_main)]

image_fuzz::program!(document);
