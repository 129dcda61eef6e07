//! See the module `whiteout` of the library.
#![cfg_attr(fuzzing, no_main)]

image_fuzz::program!(whiteout);
