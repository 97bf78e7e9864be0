/// What is around everything that nodes send each other: the cluster's label and its encryption.
///
///     packet   [244 u8 length, label] [version, nonce, ciphertext, tag]             authenticated with it: the label
///     stream   [244 u8 length, label] [10, u32 length, version … tag]               authenticated: 10, length, label
///
/// In a stream the label is sent once, and only by the side that dialled.
package struct WireSecurity: Sendable {
    package let label: [UInt8]
    package let keyring: Keyring?

    /// - Parameters:
    ///   - label: At most 255 bytes; empty for none.
    ///   - keyring: Nil for no encryption.
    package init(label: [UInt8] = [], keyring: Keyring? = nil) {
        precondition(label.count <= 255, "a label of \(label.count) bytes")
        self.label = label
        self.keyring = keyring
    }

    private var labelHeader: [UInt8] {
        label.isEmpty ? [] : [MessageType.label.rawValue, UInt8(label.count)] + label
    }

    /// Bytes that this costs in each packet.
    package var packetOverhead: Int { labelHeader.count + (keyring == nil ? 0 : Keyring.overhead) }

    /// Wraps a packet; nil when libcrypto fails.
    package func sealPacket(_ plain: [UInt8], using random: inout some RandomNumberGenerator) -> [UInt8]? {
        guard let keyring else { return labelHeader + plain }
        return keyring.seal(plain, authenticating: label, using: &random).map { labelHeader + $0 }
    }

    /// Unwraps a packet.
    package func openPacket(_ bytes: ArraySlice<UInt8>) throws(WireError) -> ArraySlice<UInt8> {
        var reader = ByteReader(bytes)
        try readLabel(&reader)
        guard let keyring else { return reader.rest() }
        return try keyring.open(reader.rest(), authenticating: label)[...]
    }

    /// Wraps all that one side of a stream sends; nil when libcrypto fails or it is too long.
    package func sealStream(
        _ plain: [UInt8],
        isDialling: Bool,
        using random: inout some RandomNumberGenerator
    ) -> [UInt8]? {
        let header = isDialling ? labelHeader : []
        guard let keyring else { return header + plain }
        guard let length = UInt32(exactly: plain.count + Keyring.overhead) else { return nil }
        var frame = [MessageType.encrypt.rawValue]
        frame.appendBigEndian(length)
        return keyring.seal(plain, authenticating: frame + label, using: &random).map { header + frame + $0 }
    }

    /// Reads a label header that must be ours, or must not be there when we have none.
    func readLabel(_ reader: inout ByteReader) throws(WireError) {
        var ahead = reader
        guard try ahead.byte() == MessageType.label.rawValue else {
            guard label.isEmpty else { throw .label }
            return
        }
        guard try ahead.take(Int(try ahead.byte())).elementsEqual(label), !label.isEmpty else { throw .label }
        reader = ahead
    }
}
