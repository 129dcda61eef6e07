//! See the module `apply` of the library.
#![cfg_attr(fuzzing, no_main)]

image_fuzz::program!(apply);
