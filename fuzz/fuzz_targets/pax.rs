//! See the module `pax` of the library.
#![cfg_attr(fuzzing, no_main)]

image_fuzz::program!(pax);
