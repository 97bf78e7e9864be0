#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/sha.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

// What OpenSSL offers as macros, which Swift does not see.

// TLS 1.2 and 1.3, with ciphers that a recorded connection cannot be read of later; nothing is renegotiated or compressed. Sessions
// are resumed by tickets alone, so that event loops share no cache. A buffer is given back while a connection rests.
static inline int springg_tls_restrict(SSL_CTX *context) {
    SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_CIPHER_SERVER_PREFERENCE);
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    return SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION)
        && SSL_CTX_set_cipher_list(context, "ECDHE+AESGCM:ECDHE+CHACHA20");
}

static inline int springg_tls_add_to_chain(SSL_CTX *context, X509 *certificate) {
    return SSL_CTX_add1_chain_cert(context, certificate) != 0;
}

static inline int springg_tls_set_name(SSL *session, const char *name) {
    return SSL_set_tlsext_host_name(session, name) != 0;
}

static inline int springg_error_reason(unsigned long code) { return ERR_GET_REASON(code); }

// Without this OpenSSL would ask on the terminal for the password of a key.
static inline int springg_no_password(char *buffer, int size, int writing, void *context) {
    (void)buffer, (void)size, (void)writing, (void)context;
    return 0;
}
