//! The requirement catalogue
