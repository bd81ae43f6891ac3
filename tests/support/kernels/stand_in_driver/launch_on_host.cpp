/* What stands behind a kernel's text in the library that the stand-in driver loads: its launch, thread after thread. */
extern "C" int phloem_launch_on_host(unsigned grid_x, unsigned grid_y, unsigned block_x, void **parameters) {
  if (block_x != THREADS) return 1;
  for (unsigned y = 0; y < grid_y; ++y)
    for (unsigned x = 0; x < grid_x; ++x)
      for (unsigned i = 0; i < block_x; ++i) {
        blockIdx.x = (int)x, blockIdx.y = (int)y, threadIdx.x = (int)i;
        phloem_fold(*(const Call *)parameters[0]);
      }
  return 0;
}
