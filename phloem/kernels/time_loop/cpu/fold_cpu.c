/* The loops of the cpu backend: blocks of lanes, segments, days. What a day does is printed above this text from the
   model's jaxprs, together with the sizes NC (constants), NS (states), NW (forcing terms), NO (observations), NM (sums),
   NH (hoisted values), NR (values saved for the way back), the lanes of a block B, the days of a segment SEGMENT,
   the bits of the RARE observations, whether the NM sums are outputs that are KEPT by period, the outputs ND that are
   kept day by day beside the sums, and which KERNEL this is.
   A lane's numbers never meet another lane's. */

/* ---------------------------------------------------------------- tables: forcing and observations of a day */

typedef struct {
  const real *constants, *first, *weather, *observed, *live;
  const int32_t *weather_row, *observed_row, *lane_cell;
  long lanes, days, cells, weather_rows, observed_rows, tangents;
  long periods; /* of kept outputs */
  long lived; /* days up to the end of the last segment in which a cell lives: the rest, if any, pads the tables */
  unsigned char *kind; /* of each row of observations: UNSEEN, SEEN or MARKED */
  unsigned char *all;  /* of each day: whether all cells live */
} Tables;

typedef struct {
  long start;    /* first lane of the block */
  long count;    /* lanes of the block that exist; the others repeat the last */
  int shared;    /* whether all lanes belong to one cell */
  int32_t cell[B];
  long base[B / V];  /* of each vector: the cell its window of the table begins with */
  int window[B / V]; /* of each vector: whether its cells lie within V of that one */
  index_vector pick[B / V];
} Block;

static long within(long i, long n) { return i < 0 ? 0 : i >= n ? n - 1 : i; }

static void lay_out(const Tables *t, long number, Block *b) {
  b->start = number * B;
  b->count = t->lanes - b->start < B ? t->lanes - b->start : B;
  b->shared = 1;
  for (int l = 0; l < B; ++l) {
    const long lane = b->start + (l < b->count ? l : b->count - 1);
    b->cell[l] = (int32_t)within(t->lane_cell[lane], t->cells);
    b->shared &= b->cell[l] == b->cell[0];
  }
  for (int v = 0; v < B / V; ++v) {
    const int32_t *cell = b->cell + v * V;
    int32_t low = cell[0], high = cell[0];
    for (int l = 1; l < V; ++l) {
      low = cell[l] < low ? cell[l] : low;
      high = cell[l] > high ? cell[l] : high;
    }
    b->base[v] = low;
    b->window[v] = high - low < V;
    for (int l = 0; l < V; ++l) b->pick[v][l] = b->window[v] ? cell[l] - low : 0;
  }
}

/* Copy n fields of one row, one value a lane. A vector whose cells lie close together is one load and one shuffle a
   field, many times faster than a gather; at the table's end the load would reach past it. */
static void spread(lanes *restrict out, const real *row, const real *end, int n, long cells, const Block *b) {
  for (int f = 0; f < n; ++f, row += cells) {
    for (int v = 0; v < B / V; ++v) {
      const real *from = row + b->base[v];
#if SHUFFLES
      if (b->window[v] && from + V <= end) {
        const loose_vector x = *(const loose_vector *)from;
        *(vector *)(out[f] + v * V) = __builtin_shuffle((vector)x, b->pick[v]);
        continue;
      }
#endif
      for (int l = v * V; l < (v + 1) * V; ++l) out[f][l] = row[b->cell[l]];
    }
  }
}

static void take(real *restrict out, const real *row, int n, long cells, long cell) {
  for (int f = 0; f < n; ++f) out[f] = row[f * cells + cell];
}

typedef struct {
  lanes weather[NW], observed[NO];
  real alone_weather[NW], alone_observed[NO];
  int kind; /* of the day: UNSEEN, SEEN or MARKED */
} Day;

/* Bring up a day's forcing and, where a body reads them, its observations. */
static INLINE void bring(const Tables *t, const Block *b, long d, int with_observed, Day *day) {
  const long wr = within(t->weather_row[d], t->weather_rows), or = within(t->observed_row[d], t->observed_rows);
  const real *weather = t->weather + wr * NW * t->cells, *observed = t->observed + or * NO * t->cells;
  day->kind = with_observed ? t->kind[or] : UNSEEN;
  if (b->shared) {
    take(day->alone_weather, weather, NW, t->cells, b->cell[0]);
    if (day->kind) take(day->alone_observed, observed, NO, t->cells, b->cell[0]);
  } else {
    spread(day->weather, weather, t->weather + t->weather_rows * NW * t->cells, NW, t->cells, b);
    if (day->kind) spread(day->observed, observed, t->observed + t->observed_rows * NO * t->cells, NO, t->cells, b);
  }
}

#if KEPT
/* The period that a day belongs to, -1 for one that is not kept: it stands where the row of observations would. */
static INLINE long period_of(const Tables *t, long d, long periods) {
  return t->observed_row[d] < 0 ? -1 : within(t->observed_row[d], periods);
}
#endif

enum { NONE, SOME, ALL };

/* Run a day's body of its kind, with the forcing of one cell or spread over the lanes. */
#define RUN(name, kind, block, day, ...) \
  do { \
    if ((block)->shared) OF_KIND(name##_shared, kind, (day)->alone_weather, (day)->alone_observed, __VA_ARGS__); \
    else OF_KIND(name##_spread, kind, (day)->weather, (day)->observed, __VA_ARGS__); \
  } while (0)

/* Which lanes live on a day: on most days all. */
static INLINE int living(const Tables *t, const Block *b, long d, unsigned char *alive) {
  if (t->all[d]) return ALL;
  const real *live = t->live + d * t->cells;
  int count = 0;
  for (int l = 0; l < B; ++l) count += alive[l] = live[b->cell[l]] > 0;
  return count == 0 ? NONE : count == B ? ALL : SOME;
}

static void put_back(lanes *restrict now, const lanes *restrict before, int n, const unsigned char *alive) {
  for (int i = 0; i < n; ++i)
    for (int l = 0; l < B; ++l) now[i][l] = alive[l] ? now[i][l] : before[i][l];
}

static void load(lanes *restrict to, const real *from, int n, const Tables *t, const Block *b) {
  for (int i = 0; i < n; ++i, from += t->lanes)
    for (int l = 0; l < B; ++l) to[i][l] = from[b->start + (l < b->count ? l : b->count - 1)];
}

static void store(real *to, const lanes *from, int n, const Tables *t, const Block *b) {
  for (int i = 0; i < n; ++i, to += t->lanes) memcpy(to + b->start, from[i], sizeof(real) * b->count);
}

/* Add with the rounding error carried along (Knuth's TwoSum, exact whichever is the larger). */
static void add_exactly(lanes *restrict total, lanes *restrict rest, const lanes *restrict more, int n) {
  for (int i = 0; i < n; ++i) LANES for (int l = 0; l < B; ++l) {
    const real wanted = more[i][l] + rest[i][l], new = total[i][l] + wanted, part = new - total[i][l];
    rest[i][l] = (total[i][l] - (new - part)) + (wanted - part);
    total[i][l] = new;
  }
}

#if KERNEL == VALUE
/* ---------------------------------------------------------------- forward */

typedef struct {
  real *last, *sums, *checkpoints;
  real *daily; /* outputs by day */
} Results;

typedef struct {
#if ND
  lanes y[ND];
#endif
  lanes c[NC], h[NH], s[NS], a[NM], total[NM], rest[NM], s_before[NS], a_before[NM];
  Day day;
} Scratch;

#if KEPT
/* Copy a row past the caches, which it would only sweep: it is not read again here. */
static INLINE void stream_to(real *to, const real *from, long count) {
#if defined __AVX512F__
  if (count == B && (uintptr_t)to % 64 == 0) {
    for (int l = 0; l < B; l += V) _mm512_stream_si512((__m512i *)(to + l), *(const __m512i *)(from + l));
    return;
  }
#endif
  memcpy(to, from, sizeof(real) * count);
}

/* Write the outputs of a period (of none: of before the first), and 0 for those up to the next that days belong to. */
static void keep(const Tables *t, const Results *r, const Block *b, long period, long next, const lanes *outputs) {
  for (int i = 0; i < NM; ++i) {
    real *to = r->sums + i * t->periods * t->lanes + b->start;
    if (period >= 0) stream_to(to + period * t->lanes, outputs[i], b->count);
    for (long p = period + 1; p < next; ++p) memset(to + p * t->lanes, 0, sizeof(real) * b->count);
  }
}
#endif

#if ND
/* Write a day's outputs, 0 in lanes that do not live. */
static INLINE void write_day(const Tables *t, const Results *r, const Block *b, long d, lanes *y, int living_lanes, const unsigned char *alive) {
  for (int i = 0; i < ND; ++i) {
    real *to = r->daily + (i * t->days + d) * t->lanes + b->start;
    if (living_lanes == SOME)
      for (int l = 0; l < B; ++l) y[i][l] = alive[l] ? y[i][l] : 0;
    if (living_lanes == NONE) memset(to, 0, sizeof(real) * b->count);
    else memcpy(to, y[i], sizeof(real) * b->count);
  }
}
#endif

static void run_block(const Tables *t, const Results *r, long number, Scratch *k) {
  Block b;
  unsigned char alive[B];
  lay_out(t, number, &b);
  load(k->c, t->constants, NC, t, &b);
  load(k->s, t->first, NS, t, &b);
  hoist(k->c, k->h);
  memset(k->total, 0, sizeof k->total);
  memset(k->rest, 0, sizeof k->rest);
#if KEPT
  long period = -1; /* whose outputs are being added up */
  memset(k->a, 0, sizeof k->a);
#endif
  for (long d0 = 0; d0 < t->lived; d0 += SEGMENT) {
    store(r->checkpoints + d0 / SEGMENT * NS * t->lanes, k->s, NS, t, &b);
    if (!KEPT) memset(k->a, 0, sizeof k->a);
    for (long d = d0; d < d0 + SEGMENT; ++d) {
      const int living_lanes = living(t, &b, d, alive);
      if (living_lanes == NONE) {
#if ND
        write_day(t, r, &b, d, k->y, NONE, alive);
#endif
        continue;
      }
#if KEPT
      const long next = period_of(t, d, t->periods);
      if (next > period) {
        keep(t, r, &b, period, next, k->a);
        memset(k->a, 0, sizeof k->a);
        period = next;
      }
#endif
      if (living_lanes == SOME) memcpy(k->s_before, k->s, sizeof k->s), memcpy(k->a_before, k->a, sizeof k->a);
      bring(t, &b, d, !KEPT, &k->day);
#if KEPT
      if (next < 0) memcpy(k->a_before, k->a, sizeof k->a);
#endif
      RUN(value_day, k->day.kind, &b, &k->day, k->s, k->c, k->h, k->a AND_DAILY(k->y));
#if ND
      write_day(t, r, &b, d, k->y, living_lanes, alive);
#endif
#if KEPT
      if (next < 0) memcpy(k->a, k->a_before, sizeof k->a);
#endif
      if (living_lanes == SOME) put_back(k->s, k->s_before, NS, alive), put_back(k->a, k->a_before, NM, alive);
    }
    if (!KEPT) add_exactly(k->total, k->rest, k->a, NM);
  }
#if KEPT
  keep(t, r, &b, period, t->periods, k->a);
#endif
  for (long d0 = t->lived; d0 < t->days; d0 += SEGMENT) store(r->checkpoints + d0 / SEGMENT * NS * t->lanes, k->s, NS, t, &b);
#if ND
  for (long d = t->lived; d < t->days; ++d) write_day(t, r, &b, d, k->y, NONE, alive);
#endif
  store(r->last, k->s, NS, t, &b);
  if (!KEPT) store(r->sums, k->total, NM, t, &b);
}

#if KEPT
/* Ask for large pages: a fresh page of 4 kB costs as much as the 40 days of a vector's outputs that it holds. */
static void widen_pages(real *start, size_t bytes) {
#ifdef MADV_HUGEPAGE
  const uintptr_t page = 1 << 21, first = ((uintptr_t)start + page - 1) / page * page;
  const uintptr_t last = ((uintptr_t)start + bytes) / page * page;
  if (last > first) (void)madvise((void *)first, last - first, MADV_HUGEPAGE);
#else
  (void)start, (void)bytes;
#endif
}
#endif

static void bind(XLA_FFI_CallFrame *call, Tables *t, Results *r) {
  r->last = result(call, 0), r->sums = result(call, 1), r->checkpoints = result(call, 2);
  r->daily = ND ? result(call, 3) : 0;
#if KEPT
  t->periods = ((XLA_FFI_Buffer *)call->rets.rets[1])->dims[1];
  widen_pages(r->sums, sizeof(real) * NM * t->periods * t->lanes);
#else
  (void)t;
#endif
}
#endif

#if KERNEL == ADJOINT
/* ---------------------------------------------------------------- backward */

typedef struct {
  const real *last_bar, *sums_bar, *daily_bar;
  real *constants_bar, *state0_bar;
} Results;

typedef struct {
  lanes c[NC], h[NH], mb[NM], sb[NS], cb[NC], total[NC], rest[NC], sb_before[NS], cb_before[NC];
  unsigned char alive[SEGMENT][B], lives[SEGMENT];
  lanes s[SEGMENT + 1][NS], r[SEGMENT][NR]; /* the segment's states, and what the way back reads again */
#if ND
  lanes db[ND];
#endif
  Day day;
} Scratch;

#if KEPT
/* Bring up the adjoint of the outputs of a day: 0 where it belongs to no period. */
static INLINE void bar_of_day(const Tables *t, const Results *r, const Block *b, long d, long *at, lanes *bar) {
  const long period = period_of(t, d, t->periods);
  if (period == *at) return;
  *at = period;
  if (period < 0) memset(bar, 0, sizeof(lanes) * NM);
  for (int i = 0; i < NM && period >= 0; ++i) {
    const real *from = r->sums_bar + (i * t->periods + period) * t->lanes + b->start;
    for (int l = 0; l < B; ++l) bar[i][l] = from[l < b->count ? l : b->count - 1];
  }
}
#endif

static void run_block(const Tables *t, const Results *r, long number, Scratch *k) {
  Block b;
  unsigned char(*const alive)[B] = k->alive, *const lives = k->lives;
  lay_out(t, number, &b);
  load(k->c, t->constants, NC, t, &b);
  if (!KEPT) load(k->mb, r->sums_bar, NM, t, &b);
  if (LAST) load(k->sb, r->last_bar, NS, t, &b);
  else memset(k->sb, 0, sizeof k->sb);
#if KEPT
  long at = -2; /* period whose adjoint stands in mb */
  hoist(k->c, k->h);
#else
  hoist(k->c, k->mb, k->h);
#endif
  memset(k->total, 0, sizeof k->total);
  memset(k->rest, 0, sizeof k->rest);
  for (long d0 = t->lived - SEGMENT; d0 >= 0; d0 -= SEGMENT) {
    load(k->s[0], t->first + d0 / SEGMENT * NS * t->lanes, NS, t, &b);
    for (int i = 0; i < SEGMENT; ++i) {
      lives[i] = living(t, &b, d0 + i, alive[i]);
      if (lives[i] == NONE) {
        memcpy(k->s[i + 1], k->s[i], sizeof k->s[i]);
        continue;
      }
      bring(t, &b, d0 + i, 0, &k->day);
      if (b.shared) again_day_shared(k->day.alone_weather, k->day.alone_observed, k->s[i], k->c, k->h, k->r[i], k->s[i + 1]);
      else again_day_spread(k->day.weather, k->day.observed, k->s[i], k->c, k->h, k->r[i], k->s[i + 1]);
      if (lives[i] == SOME) put_back(k->s[i + 1], k->s[i], NS, alive[i]);
    }
    memset(k->cb, 0, sizeof k->cb);
    for (int i = SEGMENT - 1; i >= 0; --i) {
      if (lives[i] == NONE) continue;
      if (lives[i] == SOME) memcpy(k->sb_before, k->sb, sizeof k->sb), memcpy(k->cb_before, k->cb, sizeof k->cb);
      bring(t, &b, d0 + i, !KEPT, &k->day);
#if KEPT
      bar_of_day(t, r, &b, d0 + i, &at, k->mb);
#endif
#if ND
      for (int j = 0; j < ND; ++j) {
        const real *from = r->daily_bar + (j * t->days + d0 + i) * t->lanes + b.start;
        if (b.count == B) memcpy(k->db[j], from, sizeof k->db[j]);
        else for (int l = 0; l < B; ++l) k->db[j][l] = from[l < b.count ? l : b.count - 1];
      }
#endif
      RUN(adjoint_day, k->day.kind, &b, &k->day, k->s[i], k->r[i], k->c, k->h, k->sb, k->mb, k->cb AND_DAILY(k->db));
      if (lives[i] == SOME) put_back(k->sb, k->sb_before, NS, alive[i]), put_back(k->cb, k->cb_before, NC, alive[i]);
    }
    add_exactly(k->total, k->rest, k->cb, NC);
  }
  store(r->constants_bar, k->total, NC, t, &b);
  store(r->state0_bar, k->sb, NS, t, &b);
}

static void bind(XLA_FFI_CallFrame *call, Tables *t, Results *r) {
  t->periods = KEPT ? extent(call, 8, 1) : 0;
  r->sums_bar = argument(call, 8), r->daily_bar = ND ? argument(call, 9) : 0;
  r->last_bar = LAST ? argument(call, 9 + (ND > 0)) : 0;
  r->constants_bar = result(call, 0), r->state0_bar = result(call, 1);
}
#endif

#if KERNEL == TANGENT
#define TOGETHER K
#define AT_ONCE 4 /* days that a tangent goes before it is the next one's turn: what they read stays in the nearest cache */
/* ---------------------------------------------------------------- a block of tangents forward */

typedef struct {
  const real *constants_dot, *state0_dot;
  real *last_dot, *sums_dot;
} Results;

typedef struct {
  lanes total[NM], rest[NM];
} Totals;

typedef struct {
  lanes c[NC], h[NH], s[NS], q[AT_ONCE][NQ], s_before[NS];
  Dot dot[K], before;
  Totals totals[K];
  Day day;
} Scratch;

/* One block of lanes with K tangents at most: the primal runs once for them. */
static void run_block(const Tables *t, const Results *r, long number, Scratch *k) {
  Block b;
  unsigned char alive[AT_ONCE][B], lives[AT_ONCE], kind[AT_ONCE];
  const long groups = (t->tangents + K - 1) / K, first = number % groups * K;
  const int count = (int)(t->tangents - first < K ? t->tangents - first : K);
  lay_out(t, number / groups, &b);
  load(k->c, t->constants, NC, t, &b);
  load(k->s, t->first, NS, t, &b);
  hoist(k->c, k->h);
  memset(k->totals, 0, sizeof k->totals);
  for (int i = 0; i < count; ++i) {
    load(k->dot[i].cd, r->constants_dot + (first + i) * NC * t->lanes, NC, t, &b);
    load(k->dot[i].sd, r->state0_dot + (first + i) * NS * t->lanes, NS, t, &b);
  }
  for (long d0 = 0; d0 < t->lived; d0 += SEGMENT) {
    for (int i = 0; i < count; ++i) memset(k->dot[i].ad, 0, sizeof k->dot[i].ad);
    for (long d = d0; d < d0 + SEGMENT; d += AT_ONCE) {
      const int days = d0 + SEGMENT - d < AT_ONCE ? (int)(d0 + SEGMENT - d) : AT_ONCE;
      for (int j = 0; j < days; ++j) {
        lives[j] = living(t, &b, d + j, alive[j]);
        if (lives[j] == NONE) continue;
        if (lives[j] == SOME) memcpy(k->s_before, k->s, sizeof k->s);
        bring(t, &b, d + j, 1, &k->day);
        kind[j] = k->day.kind;
        RUN(primal_day, kind[j], &b, &k->day, k->s, k->c, k->h, k->q[j]);
        if (lives[j] == SOME) put_back(k->s, k->s_before, NS, alive[j]);
      }
      for (int i = 0; i < count; ++i) {
        Dot *dot = k->dot + i;
        for (int j = 0; j < days; ++j) {
          if (lives[j] == NONE) continue;
          if (lives[j] == SOME) k->before = *dot;
          OF_KIND(tangent_day, kind[j], k->q[j], k->c, k->h, dot);
          if (lives[j] == SOME) put_back(dot->sd, k->before.sd, NS, alive[j]), put_back(dot->ad, k->before.ad, NM, alive[j]);
        }
      }
    }
    for (int i = 0; i < count; ++i) add_exactly(k->totals[i].total, k->totals[i].rest, k->dot[i].ad, NM);
  }
  for (int i = 0; i < count; ++i) {
    store(r->last_dot + (first + i) * NS * t->lanes, k->dot[i].sd, NS, t, &b);
    store(r->sums_dot + (first + i) * NM * t->lanes, k->totals[i].total, NM, t, &b);
  }
}

static void bind(XLA_FFI_CallFrame *call, Tables *t, Results *r) {
  t->tangents = extent(call, 8, 0);
  r->constants_dot = argument(call, 8), r->state0_dot = argument(call, 9);
  r->last_dot = result(call, 0), r->sums_dot = result(call, 1);
}
#endif

#ifndef TOGETHER
#define TOGETHER 1
#endif

/* ---------------------------------------------------------------- threads: blocks are taken from one counter */

typedef struct {
  Tables tables;
  Results results;
  long blocks;
  atomic_long next, done, holders;
  atomic_int failed;
  pthread_mutex_t lock;
  pthread_cond_t finished;
} Job;

static void let_go(Job *job) {
  if (atomic_fetch_sub(&job->holders, 1) != 1) return;
  pthread_mutex_destroy(&job->lock);
  pthread_cond_destroy(&job->finished);
  free(job->tables.kind);
  free(job);
}

/* Take blocks until there are none. A task that starts late finds none and touches nothing of the call. */
static void work(void *given) {
  Job *job = given;
  Scratch *scratch = 0;
  for (;;) {
    const long block = atomic_fetch_add(&job->next, 1);
    if (block >= job->blocks) break;
    if (!scratch) scratch = aligned_alloc(64, (sizeof(Scratch) + 63) / 64 * 64);
    if (scratch) run_block(&job->tables, &job->results, block, scratch);
    else atomic_store(&job->failed, 1);
    if (atomic_fetch_add(&job->done, 1) + 1 == job->blocks) {
      pthread_mutex_lock(&job->lock);
      pthread_cond_broadcast(&job->finished);
      pthread_mutex_unlock(&job->lock);
    }
  }
  free(scratch);
  let_go(job);
}

static void forget(const XLA_FFI_Api *api, XLA_FFI_Error *error) {
  XLA_FFI_Error_Destroy_Args args = {XLA_FFI_Error_Destroy_Args_STRUCT_SIZE, 0, error};
  api->XLA_FFI_Error_Destroy(&args);
}

/* The calling thread works too, and waits only for blocks that others have begun: a pool whose threads all wait for each
   other cannot come about. */
static void share_out(XLA_FFI_CallFrame *call, Job *job) {
  int64_t threads = 1;
  XLA_FFI_ThreadPool_NumThreads_Args ask = {XLA_FFI_ThreadPool_NumThreads_Args_STRUCT_SIZE, 0, call->ctx, &threads};
  XLA_FFI_Error *error = call->api->XLA_FFI_ThreadPool_NumThreads(&ask);
  if (error) forget(call->api, error), threads = 1;
  for (long helper = 1; helper < threads && helper < job->blocks; ++helper) {
    XLA_FFI_ThreadPool_Schedule_Args task = {XLA_FFI_ThreadPool_Schedule_Args_STRUCT_SIZE, 0, call->ctx, work, job};
    atomic_fetch_add(&job->holders, 1);
    error = call->api->XLA_FFI_ThreadPool_Schedule(&task);
    if (error) {
      forget(call->api, error);
      atomic_fetch_sub(&job->holders, 1);
      break;
    }
  }
  atomic_fetch_add(&job->holders, 1);
  work(job);
  pthread_mutex_lock(&job->lock);
  while (atomic_load(&job->done) < job->blocks) pthread_cond_wait(&job->finished, &job->lock);
  pthread_mutex_unlock(&job->lock);
}

/* ---------------------------------------------------------------- the call */

static XLA_FFI_Error *complain(XLA_FFI_CallFrame *call, const char *message, XLA_FFI_Error_Code code) {
  XLA_FFI_Error_Create_Args args = {XLA_FFI_Error_Create_Args_STRUCT_SIZE, 0, message, code};
  return call->api->XLA_FFI_Error_Create(&args);
}

static int any_lives(const Tables *t, long d) {
  for (long i = 0; i < t->cells; ++i)
    if (t->live[d * t->cells + i] > 0) return 1;
  return 0;
}

/* Note until when cells live, on which of these days all do, and which rows hold observations, usual or rare. */
static void survey(Tables *t) {
  long day = t->days - 1, rows = 0;
  while (day >= 0 && !any_lives(t, day)) --day;
  t->lived = (day + SEGMENT) / SEGMENT * SEGMENT;
  for (long d = 0; d < t->lived; ++d) {
    int all = 1;
    for (long i = 0; i < t->cells; ++i) all &= t->live[d * t->cells + i] > 0;
    t->all[d] = all;
    const long row = within(t->observed_row[d], t->observed_rows);
    rows = row >= rows ? row + 1 : rows;
  }
  const real *values = t->observed;
  for (long row = 0; row < rows; ++row) {
    int kind = UNSEEN;
    for (int f = 0; f < NO; ++f, values += t->cells) {
      int any = 0;
      for (long i = 0; i < t->cells; ++i) any |= values[i] != 0;
      if (any) kind |= RARE >> f & 1 ? MARKED : SEEN;
    }
    t->kind[row] = kind & MARKED ? MARKED : kind;
  }
}

long phloem_scratch(void) { return sizeof(Scratch); }

XLA_FFI_Error *phloem_fold(XLA_FFI_CallFrame *call) {
  for (__typeof__(call->extension_start) e = call->extension_start; e; e = e->next)  // its type has a new name from jax 0.11 on
    if (e->type == XLA_FFI_Extension_Metadata) {
      XLA_FFI_Metadata *about = ((XLA_FFI_Metadata_Extension *)e)->metadata;
      about->api_version.major_version = XLA_FFI_API_MAJOR;
      about->api_version.minor_version = XLA_FFI_API_MINOR;
      about->traits = 0;
      return 0;
    }
  if (call->stage != XLA_FFI_ExecutionStage_EXECUTE) return 0;
  if (call->args.size != ARGUMENTS) return complain(call, "phloem: wrong number of arguments", XLA_FFI_Error_Code_INVALID_ARGUMENT);
  Job *job = calloc(1, sizeof(Job));
  if (!job) return complain(call, "phloem: out of memory", XLA_FFI_Error_Code_RESOURCE_EXHAUSTED);
  Tables *t = &job->tables;
  t->constants = argument(call, 0), t->first = argument(call, 1);
  t->weather = argument(call, 2), t->observed = argument(call, 3);
  t->weather_row = argument(call, 4), t->observed_row = argument(call, 5);
  t->live = argument(call, 6), t->lane_cell = argument(call, 7);
  t->lanes = extent(call, 7, 0), t->days = extent(call, 4, 0), t->cells = extent(call, 2, 2);
  t->weather_rows = extent(call, 2, 0), t->observed_rows = extent(call, 3, 0);
  t->tangents = 1;
  if (t->lanes && t->days && (t->cells < 1 || t->weather_rows < 1 || t->observed_rows < 1))
    return free(job), complain(call, "phloem: tables without cells or rows", XLA_FFI_Error_Code_INVALID_ARGUMENT);
  bind(call, t, &job->results);
  job->blocks = (t->lanes + B - 1) / B * ((t->tangents + TOGETHER - 1) / TOGETHER);
  atomic_store(&job->holders, 1);
  t->kind = malloc(t->observed_rows + t->days);
  if (!t->kind) {
    free(job);
    return complain(call, "phloem: out of memory", XLA_FFI_Error_Code_RESOURCE_EXHAUSTED);
  }
  t->all = t->kind + t->observed_rows;
  pthread_mutex_init(&job->lock, 0);
  pthread_cond_init(&job->finished, 0);
  survey(t);
  share_out(call, job);
  const int failed = atomic_load(&job->failed);
  let_go(job);
  return failed ? complain(call, "phloem: out of memory for a block of lanes", XLA_FFI_Error_Code_RESOURCE_EXHAUSTED) : 0;
}
