/* What the C of the cpu backend and the CUDA of the gpu backend have alike, behind the head of each: one text, so that a
   lane's bits are the same. Heads define real, whole, Bits, FMA and INLINE, and HAS_EXP where they have an exp_ of their
   own. */

#ifndef HAS_EXP
/* e to the x within 1.1 ulp, without a call, so that loops over lanes stay vectors: x = n ln 2 + r, a polynomial in r, and
   n added to the exponent. Adding MAGIC rounds to a whole number, which then stands in the lowest bits. What overflows
   is infinite, what would be less than the least normal number is 0, and NaN stays NaN. */
static INLINE real exp_(real x) {
#if DOUBLE
  const real high = 0x1.62e42fefa39efp+9, low = -0x1.6232bdd7abcd2p+9, magic = 0x1.8p+52;
  const real ln2_high = 0x1.62e42fefa0000p-1, ln2_low = 0x1.cf79abc9e3b3ap-40;
  const int digits = 52;
#else
  const real high = 0x1.62e42ep+6f, low = -0x1.5d589ep+6f, magic = 0x1.8p+23f;
  const real ln2_high = 0x1.62e4p-1f, ln2_low = 0x1.7f7d1cp-20f;
  const int digits = 23;
#endif
  Bits n, e;
  n.number = FMA(x, (real)0x1.71547652b82fep+0, magic);
  const real r = FMA(-(n.number - magic), ln2_low, FMA(-(n.number - magic), ln2_high, x));
  /* Written out: a loop in here, which the compiler unrolls too late, kept the loop over lanes scalar. */
#if DOUBLE
  real p = FMA(0x1.1f7385560be05p-29, r, 0x1.af4ecd2129492p-26);
  p = FMA(p, r, 0x1.27e4db25ce3adp-22);
  p = FMA(p, r, 0x1.71de01c3fc936p-19);
  p = FMA(p, r, 0x1.a01a01a6ec522p-16);
  p = FMA(p, r, 0x1.a01a01ac0a9eep-13);
  p = FMA(p, r, 0x1.6c16c16c162b0p-10);
  p = FMA(p, r, 0x1.111111111009cp-7);
  p = FMA(p, r, 0x1.5555555555556p-5);
  p = FMA(p, r, 0x1.5555555555557p-3);
  p = FMA(p, r, 0x1.0p-1);
#else
  real p = FMA(0x1.6d11fep-10f, r, 0x1.120c62p-7f);
  p = FMA(p, r, 0x1.555518p-5f);
  p = FMA(p, r, 0x1.5554dcp-3f);
  p = FMA(p, r, 0x1.0p-1f);
#endif
  e.number = FMA(r * r, p, r) + 1;
  e.bits = (whole)((unsigned_whole)e.bits + ((unsigned_whole)n.bits << digits));
  const real found = x < low ? 0 : e.number;
  return x <= high ? found : x + (real)INFINITY; /* infinite, or the NaN that x is: its bits would shift into a number */
}
#endif

/* Kinds of a row of observations: nothing in it, something usual, something rare. */
enum { UNSEEN, SEEN, MARKED };

/* Run a day's body of its kind. */
#if KEPT
#define OF_KIND(name, kind, ...) name##_unseen(__VA_ARGS__)
#elif RARE
#define OF_KIND(name, kind, ...) \
  do { \
    if (kind == MARKED) name##_marked(__VA_ARGS__); \
    else if (kind == SEEN) name##_seen(__VA_ARGS__); \
    else name##_unseen(__VA_ARGS__); \
  } while (0)
#else
#define OF_KIND(name, kind, ...) \
  do { \
    if (kind == SEEN) name##_seen(__VA_ARGS__); \
    else name##_unseen(__VA_ARGS__); \
  } while (0)
#endif

/* Hand a body the outputs that are kept day by day, where there are any. */
#if ND
#define AND_DAILY(array) , array
#else
#define AND_DAILY(array)
#endif
