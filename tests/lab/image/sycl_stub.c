/* Stands in for libggml-sycl.so, which wants Intel's whole GPU stack. It says: no such GPU. */
int g_ggml_sycl_debug, g_ggml_sycl_disable_graph, g_ggml_sycl_disable_optimize,
    g_ggml_sycl_prioritize_dmmv;

#define NONE(name) void *name(void) { return 0; }
NONE(ggml_backend_init)
NONE(ggml_backend_is_sycl)
NONE(ggml_backend_sycl_buffer_type)
NONE(ggml_backend_sycl_get_device_count)
NONE(ggml_backend_sycl_get_device_description)
NONE(ggml_backend_sycl_get_device_memory)
NONE(ggml_backend_sycl_get_device_name)
NONE(ggml_backend_sycl_get_gpu_list)
NONE(ggml_backend_sycl_host_buffer_type)
NONE(ggml_backend_sycl_init)
NONE(ggml_backend_sycl_print_sycl_devices)
NONE(ggml_backend_sycl_reg)
NONE(ggml_backend_sycl_split_buffer_type)
