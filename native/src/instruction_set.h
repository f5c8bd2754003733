// The kernels compiled for the best instruction set that this processor has.
#pragma once
#include "kernels/kernels.h"

namespace mn {

const Kernels& best_kernels();

}  // namespace mn
