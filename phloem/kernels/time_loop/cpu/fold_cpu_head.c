/* What every kernel of the cpu backend begins with: the number type, vectors, and functions of one scalar. */

#define _DEFAULT_SOURCE /* madvise, which is no part of plain C11 */

#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#ifdef __AVX512F__
#include <immintrin.h>
#endif

#include "xla/ffi/api/c_api.h"

#define VALUE 1
#define ADJOINT 2
#define TANGENT 3
#define INLINE inline __attribute__((always_inline))
#define LANES _Pragma("omp simd")

#if DOUBLE
typedef double real;
typedef int64_t whole;
typedef uint64_t unsigned_whole;
#define REAL(name) name
#else
typedef float real;
typedef int32_t whole;
typedef uint32_t unsigned_whole;
#define REAL(name) name##f
#endif

#ifdef __AVX512F__
#define VECTOR_BYTES 64
#elif defined __AVX__
#define VECTOR_BYTES 32
#else
#define VECTOR_BYTES 16
#endif
#define V ((int)(VECTOR_BYTES / sizeof(real))) /* lanes of a vector */

typedef real vector __attribute__((vector_size(VECTOR_BYTES), may_alias));
typedef real loose_vector __attribute__((vector_size(VECTOR_BYTES), aligned(sizeof(real)), may_alias));
typedef whole index_vector __attribute__((vector_size(VECTOR_BYTES)));
typedef real lanes[B] __attribute__((aligned(64)));

/* One tangent: of the constants, of the state, of the sums of a segment. */
typedef struct {
  lanes cd[NC], sd[NS], ad[NM];
} Dot;

#if defined __GNUC__ && !defined __clang__
#define SHUFFLES 1
#else
#define SHUFFLES 0
#endif

/* Fused where the processor has it, so that bits do not hang on what the compiler likes to contract. */
#if defined __FP_FAST_FMA && defined __FP_FAST_FMAF
#define FMA(x, y, z) REAL(__builtin_fma)(x, y, z)
#else
#define FMA(x, y, z) ((x) * (y) + (z))
#endif

static INLINE void *argument(XLA_FFI_CallFrame *call, int i) { return ((XLA_FFI_Buffer *)call->args.args[i])->data; }
static INLINE void *result(XLA_FFI_CallFrame *call, int i) { return ((XLA_FFI_Buffer *)call->rets.rets[i])->data; }
static INLINE long extent(XLA_FFI_CallFrame *call, int i, int axis) {
  return ((XLA_FFI_Buffer *)call->args.args[i])->dims[axis];
}

typedef union {
  whole bits;
  real number;
} Bits;

static INLINE real sqrt_(real x) { return REAL(__builtin_sqrt)(x); }
static INLINE real abs_(real x) { return REAL(__builtin_fabs)(x); }
static INLINE real floor_(real x) { return REAL(__builtin_floor)(x); }
static INLINE real ceil_(real x) { return REAL(__builtin_ceil)(x); }
static INLINE real sign_(real x) { return x > 0 ? 1 : x < 0 ? -1 : x; }

/* Functions that are left to the C library, one lane at a time; the loop around them stays vectors. (Called plainly, one
   of them makes the whole loop scalar; gcc even merges sin and cos of one argument into a scalar sincos.) */
#define LEFT _Pragma("omp declare simd notinbranch") static __attribute__((noinline, unused))
LEFT real log_(real x) { return REAL(log)(x); }
LEFT real log1p_(real x) { return REAL(log1p)(x); }
LEFT real expm1_(real x) { return REAL(expm1)(x); }
LEFT real sin_(real x) { return REAL(sin)(x); }
LEFT real cos_(real x) { return REAL(cos)(x); }
LEFT real tan_(real x) { return REAL(tan)(x); }
LEFT real asin_(real x) { return REAL(asin)(x); }
LEFT real acos_(real x) { return REAL(acos)(x); }
LEFT real atan_(real x) { return REAL(atan)(x); }
LEFT real sinh_(real x) { return REAL(sinh)(x); }
LEFT real cosh_(real x) { return REAL(cosh)(x); }
LEFT real tanh_(real x) { return REAL(tanh)(x); }
LEFT real cbrt_(real x) { return REAL(cbrt)(x); }
LEFT real erf_(real x) { return REAL(erf)(x); }
LEFT real pow_(real x, real y) { return REAL(pow)(x, y); }
LEFT real atan2_(real y, real x) { return REAL(atan2)(y, x); }
