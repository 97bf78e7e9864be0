import COpenSSL

/// AES in Galois/counter mode (NIST SP 800-38D), by libcrypto.
enum AESGCM {
    static let nonceBytes = 12
    static let tagBytes = 16

    /// Ciphertext and tag; nil when libcrypto fails.
    static func seal(_ plain: [UInt8], key: [UInt8], nonce: [UInt8], authenticating extra: [UInt8]) -> [UInt8]? {
        guard let context = EVP_CIPHER_CTX_new(), let cipher = cipher(for: key) else { return nil }
        defer { EVP_CIPHER_CTX_free(context) }
        var count: Int32 = 0
        var sealed = [UInt8](repeating: 0, count: plain.count + tagBytes)
        guard EVP_EncryptInit_ex(context, cipher, nil, key, nonce) == 1,
            extra.isEmpty || EVP_EncryptUpdate(context, nil, &count, extra, Int32(extra.count)) == 1,
            plain.isEmpty || EVP_EncryptUpdate(context, &sealed, &count, plain, Int32(plain.count)) == 1
        else { return nil }
        let isDone = sealed.withUnsafeMutableBytes { bytes in
            EVP_EncryptFinal_ex(context, nil, &count) == 1
                && EVP_CIPHER_CTX_ctrl(
                    context,
                    EVP_CTRL_GCM_GET_TAG,
                    Int32(tagBytes),
                    bytes.baseAddress.map { $0 + plain.count }
                ) == 1
        }
        return isDone ? sealed : nil
    }

    /// The plaintext; nil when the tag is not that of these bytes.
    static func open(
        _ sealed: ArraySlice<UInt8>,
        key: [UInt8],
        nonce: ArraySlice<UInt8>,
        authenticating extra: [UInt8]
    ) -> [UInt8]? {
        guard sealed.count >= tagBytes, nonce.count == nonceBytes,
            let context = EVP_CIPHER_CTX_new(), let cipher = cipher(for: key)
        else { return nil }
        defer { EVP_CIPHER_CTX_free(context) }
        let text = Array(sealed.dropLast(tagBytes))
        var tag = Array(sealed.suffix(tagBytes))
        var count: Int32 = 0
        var plain = [UInt8](repeating: 0, count: text.count)
        guard EVP_DecryptInit_ex(context, cipher, nil, key, Array(nonce)) == 1,
            extra.isEmpty || EVP_DecryptUpdate(context, nil, &count, extra, Int32(extra.count)) == 1,
            text.isEmpty || EVP_DecryptUpdate(context, &plain, &count, text, Int32(text.count)) == 1,
            EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_GCM_SET_TAG, Int32(tagBytes), &tag) == 1,
            EVP_DecryptFinal_ex(context, nil, &count) == 1
        else { return nil }
        return plain
    }

    private static func cipher(for key: [UInt8]) -> OpaquePointer? {
        switch key.count {
        case 16: EVP_aes_128_gcm()
        case 24: EVP_aes_192_gcm()
        case 32: EVP_aes_256_gcm()
        default: nil
        }
    }
}
