//! See the module `dockerfile` of the library.
#![cfg_attr(fuzzing, no_main)]

image_fuzz::program!(dockerfile);
