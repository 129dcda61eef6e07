//! See the module `load` of the library.
#![cfg_attr(fuzzing, no_main)]

image_fuzz::program!(load);
