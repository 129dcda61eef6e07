//! See the module `ignore` of the library.
#![cfg_attr(fuzzing, no_main)]

image_fuzz::program!(ignore);
