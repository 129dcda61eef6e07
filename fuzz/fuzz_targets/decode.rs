//! See the module `decode` of the library.
#![cfg_attr(fuzzing, no_main)]

image_fuzz::program!(decode);
