/* The loops of the gpu backend: one thread a lane, segments, days. What a day does is printed above this text; the sizes
   are those of fold_cpu.c. Beside them: THREADS a block, BLOCKS_AN_SM that must fit a multiprocessor, whether running
   totals are TOTALS_SHARED (registers are dearer), and the tangents that a thread carries TOGETHER. */

typedef struct {
  const real *constants, *first, *weather, *observed, *live;
  const int32_t *weather_row, *observed_row, *lane_cell;
  const unsigned char *kind; /* of each row of observations: UNSEEN, SEEN or MARKED */
  const int32_t *lived;      /* days up to the end of the last segment in which a cell lives */
  const real *in[3];         /* what the kernel reads beside: cotangents or tangents */
  real *out[4];
  real *scratch; /* of an adjoint: the states of a segment, (days of one, states, lanes) */
  int lanes, days, cells, weather_rows, observed_rows, periods, tangents;
} Call;

#define EACH(i, n) _Pragma("unroll") for (int i = 0; i < (n); ++i)
#define AT(array, row) (array)[(size_t)(row) * t.lanes + lane]

static INLINE int within(int i, int n) { return i < 0 ? 0 : i >= n ? n - 1 : i; }

typedef struct {
  real weather[NW], observed[NO];
  int kind;
} Day;

/* Bring up a day's forcing of a cell and, where a body reads them, its observations. */
static INLINE void bring(const Call &t, int d, int cell, bool with_observed, Day &day) {
  const size_t row = within(__ldg(t.weather_row + d), t.weather_rows);
  const real *weather = t.weather + row * NW * t.cells + cell;
  EACH(f, NW) day.weather[f] = __ldg(weather + (size_t)f * t.cells);
  day.kind = UNSEEN;
  if (with_observed) {
    const size_t seen = within(__ldg(t.observed_row + d), t.observed_rows);
    day.kind = __ldg(t.kind + seen);
    if (day.kind) {
      const real *observed = t.observed + seen * NO * t.cells + cell;
      EACH(f, NO) day.observed[f] = __ldg(observed + (size_t)f * t.cells);
    }
  }
}

static INLINE bool lives(const Call &t, int d, int cell) { return __ldg(t.live + (size_t)d * t.cells + cell) > 0; }

#if KEPT
/* The period that a day belongs to, -1 for one that is not kept: it stands where the row of observations would. */
static INLINE int period_of(const Call &t, int d) {
  const int period = __ldg(t.observed_row + d);
  return period < 0 ? -1 : within(period, t.periods);
}
#endif

/* Add with the rounding error carried along (Knuth's TwoSum), as the cpu backend does. */
static INLINE void add_exactly(real &total, real &rest, real more) {
  const real wanted = more + rest, now = total + wanted, part = now - total;
  rest = (total - (now - part)) + (wanted - part);
  total = now;
}

#if TOTALS_SHARED
#define TOTALS(n) __shared__ real total_[n][THREADS], rest_[n][THREADS]
#define TOTAL(i) total_[i][threadIdx.x]
#define REST(i) rest_[i][threadIdx.x]
#else
#define TOTALS(n) real total_[n], rest_[n]
#define TOTAL(i) total_[i]
#define REST(i) rest_[i]
#endif

#if KERNEL == VALUE
/* ---------------------------------------------------------------- forward */

#if KEPT
/* Write the outputs of a period (of none: of before the first), and 0 for those up to the next that days belong to. */
static INLINE void keep(const Call &t, int lane, int period, int next, const lanes *outputs) {
  EACH(i, NM) {
    real *to = t.out[1] + (size_t)i * t.periods * t.lanes + lane;
    if (period >= 0) to[(size_t)period * t.lanes] = outputs[i][0];
    for (int p = period + 1; p < next; ++p) to[(size_t)p * t.lanes] = 0;
  }
}
#endif

extern "C" __global__ void __launch_bounds__(THREADS, BLOCKS_AN_SM) phloem_fold(const Call t) {
  const int lane = blockIdx.x * THREADS + threadIdx.x;
  if (lane >= t.lanes) return;
  const int cell = within(t.lane_cell[lane], t.cells), lived = *t.lived;
  lanes c[NC], h[NH], s[NS], a[NM];
#if ND
  lanes y[ND];
#endif
  EACH(i, NC) c[i][0] = AT(t.constants, i);
  EACH(i, NS) s[i][0] = AT(t.first, i);
  hoist(c, h);
#if KEPT
  int period = -1; /* whose outputs are being added up */
  EACH(i, NM) a[i][0] = 0;
#else
  TOTALS(NM);
  EACH(i, NM) TOTAL(i) = REST(i) = 0;
#endif
#pragma unroll 1
  for (int d0 = 0; d0 < t.days; d0 += SEGMENT) {
    EACH(i, NS) AT(t.out[2], (size_t)(d0 / SEGMENT) * NS + i) = s[i][0];
#if !KEPT
    EACH(i, NM) a[i][0] = 0;
#endif
#pragma unroll 1
    for (int d = d0; d < d0 + SEGMENT; ++d) {
      const bool alive = d < lived && lives(t, d, cell);
      if (alive) {
        Day day;
        bring(t, d, cell, !KEPT, day);
#if KEPT
        const int next = period_of(t, d);
        lanes before[NM];
        if (next > period) {
          keep(t, lane, period, next, a);
          EACH(i, NM) a[i][0] = 0;
          period = next;
        }
        EACH(i, NM) before[i][0] = a[i][0];
#endif
        OF_KIND(value_day_shared, day.kind, day.weather, day.observed, s, c, h, a AND_DAILY(y));
#if KEPT
        if (next < 0) EACH(i, NM) a[i][0] = before[i][0];
#endif
      }
#if ND
      EACH(i, ND) AT(t.out[3], (size_t)i * t.days + d) = alive ? y[i][0] : (real)0;
#endif
    }
#if !KEPT
    EACH(i, NM) add_exactly(TOTAL(i), REST(i), a[i][0]);
#endif
  }
#if KEPT
  keep(t, lane, period, t.periods, a);
#else
  EACH(i, NM) AT(t.out[1], i) = TOTAL(i);
#endif
  EACH(i, NS) AT(t.out[0], i) = s[i][0];
}
#endif

#if KERNEL == ADJOINT
/* ---------------------------------------------------------------- backward */

/* The states of the segment lie in device memory; what the way back reads of a day beside them is worked out again. */
#define KEEP(i, state) AT(t.scratch, (size_t)(i) * NS + (state))

extern "C" __global__ void __launch_bounds__(THREADS, BLOCKS_AN_SM) phloem_fold(const Call t) {
  const int lane = blockIdx.x * THREADS + threadIdx.x;
  if (lane >= t.lanes) return;
  const int cell = within(t.lane_cell[lane], t.cells);
  lanes c[NC], h[NH], mb[NM], sb[NS], cb[NC], r[NR];
#if ND
  lanes db[ND];
#endif
  TOTALS(NC);
  EACH(i, NC) c[i][0] = AT(t.constants, i), TOTAL(i) = REST(i) = 0;
  EACH(i, NS) sb[i][0] = LAST ? AT(t.in[1 + (ND > 0)], i) : (real)0;
#if KEPT
  int at = -2; /* period whose adjoint stands in mb */
  hoist(c, h);
#else
  EACH(i, NM) mb[i][0] = AT(t.in[0], i);
  hoist(c, mb, h);
#endif
#pragma unroll 1
  for (int d0 = *t.lived - SEGMENT; d0 >= 0; d0 -= SEGMENT) {
    lanes s[NS], n[NS];
    EACH(i, NS) s[i][0] = AT(t.first, (size_t)(d0 / SEGMENT) * NS + i);
#pragma unroll 1
    for (int i = 0; i < SEGMENT; ++i) {
      EACH(j, NS) KEEP(i, j) = s[j][0];
      if (lives(t, d0 + i, cell)) {
        Day day;
        bring(t, d0 + i, cell, false, day);
        again_day_shared(day.weather, day.observed, s, c, h, r, n);
        EACH(j, NS) s[j][0] = n[j][0];
      }
    }
    EACH(i, NC) cb[i][0] = 0;
#pragma unroll 1
    for (int i = SEGMENT - 1; i >= 0; --i) {
      if (!lives(t, d0 + i, cell)) continue;
      Day day;
      bring(t, d0 + i, cell, !KEPT, day);
#if KEPT
      const int period = period_of(t, d0 + i);
      if (period != at) {
        at = period;
        EACH(j, NM) mb[j][0] = period < 0 ? (real)0 : AT(t.in[0], (size_t)j * t.periods + period);
      }
#endif
#if ND
      EACH(j, ND) db[j][0] = AT(t.in[1], (size_t)j * t.days + d0 + i);
#endif
      EACH(j, NS) s[j][0] = KEEP(i, j);
      again_day_shared(day.weather, day.observed, s, c, h, r, n);
      OF_KIND(adjoint_day_shared, day.kind, day.weather, day.observed, s, r, c, h, sb, mb, cb AND_DAILY(db));
    }
    EACH(i, NC) add_exactly(TOTAL(i), REST(i), cb[i][0]);
  }
  EACH(i, NC) AT(t.out[0], i) = TOTAL(i);
  EACH(i, NS) AT(t.out[1], i) = sb[i][0];
}
#endif

#if KERNEL == TANGENT
/* ---------------------------------------------------------------- tangents forward: TOGETHER a thread share one primal */

extern "C" __global__ void __launch_bounds__(THREADS, BLOCKS_AN_SM) phloem_fold(const Call t) {
  const int lane = blockIdx.x * THREADS + threadIdx.x, first = blockIdx.y * TOGETHER;
  if (lane >= t.lanes) return;
  const int cell = within(t.lane_cell[lane], t.cells), lived = *t.lived;
  lanes c[NC], h[NH], s[NS], q[NQ];
  Dot dot[TOGETHER];
  TOTALS(NM *TOGETHER);
  EACH(i, NC) c[i][0] = AT(t.constants, i);
  EACH(i, NS) s[i][0] = AT(t.first, i);
  hoist(c, h);
  EACH(k, TOGETHER) {
    const int which = within(first + k, t.tangents); /* a place without a tangent repeats the last */
    EACH(i, NC) dot[k].cd[i][0] = AT(t.in[0], (size_t)which * NC + i);
    EACH(i, NS) dot[k].sd[i][0] = AT(t.in[1], (size_t)which * NS + i);
    EACH(i, NM) TOTAL(k * NM + i) = REST(k * NM + i) = 0;
  }
#pragma unroll 1
  for (int d0 = 0; d0 < lived; d0 += SEGMENT) {
    EACH(k, TOGETHER) EACH(i, NM) dot[k].ad[i][0] = 0;
#pragma unroll 1
    for (int d = d0; d < d0 + SEGMENT; ++d) {
      if (!lives(t, d, cell)) continue;
      Day day;
      bring(t, d, cell, true, day);
      OF_KIND(primal_day_shared, day.kind, day.weather, day.observed, s, c, h, q);
      EACH(k, TOGETHER) OF_KIND(tangent_day, day.kind, q, c, h, dot + k);
    }
    EACH(k, TOGETHER) EACH(i, NM) add_exactly(TOTAL(k * NM + i), REST(k * NM + i), dot[k].ad[i][0]);
  }
  EACH(k, TOGETHER) {
    if (first + k >= t.tangents) break;
    EACH(i, NS) AT(t.out[0], (size_t)(first + k) * NS + i) = dot[k].sd[i][0];
    EACH(i, NM) AT(t.out[1], (size_t)(first + k) * NM + i) = TOTAL(k * NM + i);
  }
}
#endif
