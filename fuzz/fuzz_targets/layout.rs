//! See the module `layout` of the library.
#![cfg_attr(fuzzing, no_main)]

image_fuzz::program!(layout);
