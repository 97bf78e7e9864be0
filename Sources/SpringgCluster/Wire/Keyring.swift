/// The keys of a cluster: the first encrypts, each opens.
///
/// To change the key while the cluster runs: append the new one on every node, then put it first on every node, then
/// remove the old one.
package struct Keyring: Sendable {
    private let keys: [[UInt8]]

    /// Takes at least one key; each has 16, 24 or 32 bytes.
    package init?(_ keys: [[UInt8]]) {
        guard !keys.isEmpty, keys.allSatisfy({ [16, 24, 32].contains($0.count) }) else { return nil }
        self.keys = keys
    }

    /// Bytes that encryption adds: version, nonce, tag.
    static let overhead = 1 + AESGCM.nonceBytes + AESGCM.tagBytes

    /// `version nonce ciphertext tag` with version 1, which has no padding.
    func seal(
        _ plain: [UInt8],
        authenticating extra: [UInt8],
        using random: inout some RandomNumberGenerator
    ) -> [UInt8]? {
        var nonce: [UInt8] = []
        while nonce.count < AESGCM.nonceBytes { nonce.appendBigEndian(UInt32.random(in: 0 ... .max, using: &random)) }
        guard let sealed = AESGCM.seal(plain, key: keys[0], nonce: nonce, authenticating: extra) else { return nil }
        return [1] + nonce + sealed
    }

    /// The plaintext of version 1, or of version 0, which is padded to blocks of sixteen.
    func open(_ sealed: ArraySlice<UInt8>, authenticating extra: [UInt8]) throws(WireError) -> [UInt8] {
        guard sealed.count >= Self.overhead, let version = sealed.first, version <= 1 else { throw .undecryptable }
        let nonce = sealed.dropFirst().prefix(AESGCM.nonceBytes)
        let text = sealed.dropFirst(1 + AESGCM.nonceBytes)
        for key in keys {
            guard let plain = AESGCM.open(text, key: key, nonce: nonce, authenticating: extra) else { continue }
            guard version == 0 else { return plain }
            guard let padding = plain.last, (1...16).contains(padding), plain.count >= padding else {
                throw .malformed("padding")
            }
            return plain.dropLast(Int(padding))
        }
        throw .undecryptable
    }
}
