// Everything here is static inline in the header; this file makes the target one that the linker accepts and checks
// that the header stands on its own.
#include "CCurl.h"
