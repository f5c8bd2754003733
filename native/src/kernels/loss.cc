// Softmax cross-entropy against probabilities, and its gradient.
#include <math.h>
#include <stdlib.h>

#include "kernels.h"
#include "parallel.h"

namespace mn::MN_ISA {

// Logits are averaged over positions first, as in inference.
void loss(const Loss& op, const Memory& memory) {
  const float* logits = memory.at(op.logits);
  float* dlogits = memory.at(op.dlogits);
  const float* target = memory.floats(op.target);
  const float scale = memory.floats(op.scale)[0];
  double total = 0;
  double* mean = static_cast<double*>(malloc(static_cast<size_t>(op.classes) * sizeof(double)));
  for (long n = 0; n < op.batch; n++) {
    double largest = -1e300, sum = 0;
    for (long k = 0; k < op.classes; k++) {
      mean[k] = 0;
      for (long p = 0; p < op.positions; p++) mean[k] += logits[(n * op.positions + p) * op.classes + k];
      mean[k] /= static_cast<double>(op.positions);
      if (mean[k] > largest) largest = mean[k];
    }
    for (long k = 0; k < op.classes; k++) sum += exp(mean[k] - largest);
    const double normaliser = largest + log(sum);
    double mass = 0;
    for (long k = 0; k < op.classes; k++) mass += target[n * op.classes + k];
    for (long k = 0; k < op.classes; k++) {
      const double p = target[n * op.classes + k], log_q = mean[k] - normaliser;
      total -= p * log_q;
      if (op.kl && p > 0) total += p * log(p);
      const double gradient = (exp(log_q) * mass - p) / static_cast<double>(op.batch * op.positions);
      for (long i = 0; i < op.positions; i++)
        dlogits[(n * op.positions + i) * op.classes + k] = static_cast<float>(gradient * scale);
    }
  }
  free(mean);
  memory.at(op.loss)[0] = static_cast<float>(total / static_cast<double>(op.batch));
}

}  // namespace mn::MN_ISA
