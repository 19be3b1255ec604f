// Typed functions over libcurl's variadic calls, which Swift cannot import: curl_easy_setopt, curl_easy_getinfo,
// curl_multi_setopt. One function per kind of value, so that a value of the wrong width cannot be passed.
// All are as thread-safe as libcurl's own: one handle, one thread at a time.
#pragma once
#include <curl/curl.h>
#include <stddef.h>

// The parentheses keep curl's type-checking macros, which want constant options, out of the way.

static inline CURLcode ccurl_set_long(CURL *easy, CURLoption option, long value) {
    return (curl_easy_setopt)(easy, option, value);
}

static inline CURLcode ccurl_set_offset(CURL *easy, CURLoption option, curl_off_t value) {
    return (curl_easy_setopt)(easy, option, value);
}

// libcurl copies the text (for every option that takes text but CURLOPT_POSTFIELDS).
static inline CURLcode ccurl_set_text(CURL *easy, CURLoption option, const char *value) {
    return (curl_easy_setopt)(easy, option, value);
}

// The list must live until the transfer has ended.
static inline CURLcode ccurl_set_list(CURL *easy, CURLoption option, struct curl_slist *value) {
    return (curl_easy_setopt)(easy, option, value);
}

// Copies `count` bytes as the body. The size goes first: libcurl reads it while it copies.
static inline CURLcode ccurl_set_body(CURL *easy, const void *bytes, size_t count) {
    CURLcode code = (curl_easy_setopt)(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)count);
    if (code != CURLE_OK) return code;
    return (curl_easy_setopt)(easy, CURLOPT_COPYPOSTFIELDS, count == 0 ? "" : (const char *)bytes);
}

typedef size_t (*ccurl_bytes_callback)(char *bytes, size_t size, size_t count, void *context);

static inline CURLcode ccurl_set_write(CURL *easy, ccurl_bytes_callback callback, void *context) {
    CURLcode code = (curl_easy_setopt)(easy, CURLOPT_WRITEFUNCTION, callback);
    if (code != CURLE_OK) return code;
    return (curl_easy_setopt)(easy, CURLOPT_WRITEDATA, context);
}

static inline CURLcode ccurl_set_header(CURL *easy, ccurl_bytes_callback callback, void *context) {
    CURLcode code = (curl_easy_setopt)(easy, CURLOPT_HEADERFUNCTION, callback);
    if (code != CURLE_OK) return code;
    return (curl_easy_setopt)(easy, CURLOPT_HEADERDATA, context);
}

static inline CURLcode ccurl_set_opensocket(CURL *easy, curl_opensocket_callback callback, void *context) {
    CURLcode code = (curl_easy_setopt)(easy, CURLOPT_OPENSOCKETFUNCTION, callback);
    if (code != CURLE_OK) return code;
    return (curl_easy_setopt)(easy, CURLOPT_OPENSOCKETDATA, context);
}

static inline CURLcode ccurl_set_prereq(CURL *easy, curl_prereq_callback callback, void *context) {
    CURLcode code = (curl_easy_setopt)(easy, CURLOPT_PREREQFUNCTION, callback);
    if (code != CURLE_OK) return code;
    return (curl_easy_setopt)(easy, CURLOPT_PREREQDATA, context);
}

// `buffer` has CURL_ERROR_SIZE bytes and outlives the handle.
static inline CURLcode ccurl_set_error_buffer(CURL *easy, char *buffer) {
    return (curl_easy_setopt)(easy, CURLOPT_ERRORBUFFER, buffer);
}

// http and https only. The option that takes names came with 7.85, the mask it replaced is still there before.
static inline CURLcode ccurl_allow_only_http(CURL *easy) {
#if LIBCURL_VERSION_NUM >= 0x075500
    return (curl_easy_setopt)(easy, CURLOPT_PROTOCOLS_STR, "http,https");
#else
    return (curl_easy_setopt)(easy, CURLOPT_PROTOCOLS, (long)(CURLPROTO_HTTP | CURLPROTO_HTTPS));
#endif
}

// Lets a cancelled transfer go without waiting for its name look-up (libcurl 7.87 and later; before, a cancel during a
// look-up waits for the resolver).
static inline CURLcode ccurl_never_wait_for_resolver(CURL *easy) {
#if LIBCURL_VERSION_NUM >= 0x075700
    return (curl_easy_setopt)(easy, CURLOPT_QUICK_EXIT, 1L);
#else
    (void)easy;
    return CURLE_OK;
#endif
}

static inline CURLcode ccurl_prefer_http2_over_tls(CURL *easy) {
    return (curl_easy_setopt)(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_2TLS);
}

static inline CURLcode ccurl_get_offset(CURL *easy, CURLINFO info, curl_off_t *value) {
    return (curl_easy_getinfo)(easy, info, value);
}

static inline CURLcode ccurl_get_long(CURL *easy, CURLINFO info, long *value) {
    return (curl_easy_getinfo)(easy, info, value);
}

static inline CURLMcode ccurl_multi_set_long(CURLM *multi, CURLMoption option, long value) {
    return (curl_multi_setopt)(multi, option, value);
}

// The result of the multi's one transfer: 1 and *result if it has ended, 0 if it goes on. Hides CURLMsg, whose union
// Swift would have to pick apart.
static inline int ccurl_multi_result(CURLM *multi, CURLcode *result) {
    int left = 0;
    CURLMsg *message;
    int ended = 0;
    while ((message = curl_multi_info_read(multi, &left)) != NULL) {
        if (message->msg == CURLMSG_DONE) {
            *result = message->data.result;
            ended = 1;
        }
    }
    return ended;
}

// Where the socket address itself begins: libcurl gives it room for the largest kind, the struct names the smallest.
static inline const void *ccurl_address(const struct curl_sockaddr *address) { return &address->addr; }
