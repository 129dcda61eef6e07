//! See the module `toc` of the library.
#![cfg_attr(fuzzing, no_main)]

image_fuzz::program!(toc);
