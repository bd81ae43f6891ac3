/* Sums of boosted trees over blocks of 64 rows.
 *
 * Predictors become bytes: how many of a model's thresholds they reach. A node is then one comparison of 64 bytes, its
 * answer a word of 64 bits, and the way of all rows down a tree a choice between words (bit slicing).
 */
#include <stdint.h>
#include <string.h>
#if defined(__AVX512F__) && defined(__AVX512BW__)
#include <immintrin.h>
#endif

#define ROWS 64
#define DEPTH 6
#define NODES 63
#define LEAVES 64
#define TABLE 255

static inline uint64_t below(const uint8_t *codes, uint8_t threshold)
{
#if defined(__AVX512F__) && defined(__AVX512BW__)
    return _mm512_cmplt_epu8_mask(_mm512_loadu_si512(codes), _mm512_set1_epi8((char)threshold));
#else
    uint64_t found = 0;
    for (int row = 0; row < ROWS; row++) found |= (uint64_t)(codes[row] < threshold) << row;
    return found;
#endif
}

static inline uint64_t either(uint64_t left, uint64_t if_left, uint64_t if_right)
{
    return if_right ^ ((if_right ^ if_left) & left);
}

static inline void add_leaves(const uint64_t *left, const float *leaf, float *sum)
{
#if defined(__AVX512F__) && defined(__AVX512BW__)
    __m512i place = _mm512_setzero_si512();
    for (int level = 0; level < DEPTH; level++)
        place = _mm512_mask_add_epi8(place, ~left[level], place, _mm512_set1_epi8((char)(1 << (DEPTH - 1 - level))));
    uint8_t places[ROWS];
    _mm512_storeu_si512(places, place);
    __m512 a = _mm512_loadu_ps(leaf), b = _mm512_loadu_ps(leaf + 16);
    __m512 c = _mm512_loadu_ps(leaf + 32), d = _mm512_loadu_ps(leaf + 48);
    for (int row = 0; row < ROWS; row += 16) {
        __m512i at = _mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)(places + row)));
        __m512 low = _mm512_permutex2var_ps(a, at, b), high = _mm512_permutex2var_ps(c, at, d);
        __mmask16 upper = (__mmask16)(~left[0] >> row);
        _mm512_storeu_ps(sum + row, _mm512_add_ps(_mm512_loadu_ps(sum + row), _mm512_mask_blend_ps(upper, low, high)));
    }
#else
    for (int row = 0; row < ROWS; row++) {
        int place = 0;
        for (int level = 0; level < DEPTH; level++) place = 2 * place + !((left[level] >> row) & 1);
        sum[row] += leaf[place];
    }
#endif
}

static void add_tree(const uint8_t (*codes)[ROWS], const uint16_t *column, const uint8_t *threshold, const float *leaf,
                     float *sum)
{
    uint64_t answer[NODES], left[DEPTH];
    for (int node = 0; node < NODES; node++) answer[node] = below(codes[column[node]], threshold[node]);
    for (int level = 0; level < DEPTH; level++) {
        uint64_t *nodes = answer + (1 << level) - 1;
        /* The choice that was made last halves the nodes first: pairs stand side by side. */
        for (int width = 1 << level, above = level - 1; width > 1; width >>= 1, above--)
            for (int pair = 0; pair < width / 2; pair++)
                nodes[pair] = either(left[above], nodes[2 * pair], nodes[2 * pair + 1]);
        left[level] = nodes[0];
    }
    add_leaves(left, leaf, sum);
}

static void code_rows(const float *x, int features, int rows, const int32_t *used, int used_count, const int32_t *halves,
                      const float *tables, uint8_t (*codes)[ROWS])
{
    for (int one = 0; one < used_count; one++) {
        float values[ROWS];
        int32_t place[ROWS];
        const float *table = tables + (int64_t)one * (TABLE + 1);
        for (int row = 0; row < ROWS; row++) values[row] = x[(int64_t)(row < rows ? row : 0) * features + used[one]];
        for (int row = 0; row < ROWS; row++) place[row] = 0;
        for (int step = halves[one]; step > 0; step >>= 1)
            for (int row = 0; row < ROWS; row++) place[row] += table[place[row] + step - 1] <= values[row] ? step : 0;
        for (int row = 0; row < ROWS; row++) {
            int missing = values[row] != values[row];
            codes[one][row] = (uint8_t)(missing ? TABLE : place[row]);
            codes[used_count + one][row] = (uint8_t)place[row];
        }
    }
}

/* x: (rows, features). used: features that stand in any node. tables: (used, 256) thresholds, ascending, then NaN.
 * halves: the greatest power of two that is no more than their number.
 * column, threshold: (trees, 63); a column beyond `used_count` is that whose missing values go left. leaf: (trees, 64).
 * work: 2 x used x 64 bytes. */
void phloem_add_trees(const float *x, int64_t rows, int features, const int32_t *used, int used_count,
                      const int32_t *halves, const float *tables, int trees, const uint16_t *column, const uint8_t *threshold,
                      const float *leaf, float start, uint8_t *work, float *out)
{
    uint8_t (*codes)[ROWS] = (uint8_t (*)[ROWS])work;
    for (int64_t first = 0; first < rows; first += ROWS) {
        int count = rows - first < ROWS ? (int)(rows - first) : ROWS;
        float sum[ROWS];
        code_rows(x + first * features, features, count, used, used_count, halves, tables, codes);
        for (int row = 0; row < ROWS; row++) sum[row] = start;
        for (int tree = 0; tree < trees; tree++)
            add_tree((const uint8_t (*)[ROWS])codes, column + (int64_t)tree * NODES, threshold + (int64_t)tree * NODES,
                     leaf + (int64_t)tree * LEAVES, sum);
        memcpy(out + first, sum, (size_t)count * sizeof(float));
    }
}
