//! See the module `tar` of the library.
#![cfg_attr(fuzzing, no_main)]

image_fuzz::program!(tar);
