/// The file that `springg init` writes.
public enum InitialConfiguration {
    /// Random bytes in a fresh secret; base64 makes 44 characters of them.
    public static let secretBytes = 32

    /// A secret that nobody has used before.
    public static func freshSecret() -> String {
        var generator = SystemRandomNumberGenerator()  // getrandom(2) on Linux: fit for keys.
        let bytes = (0..<secretBytes).map { _ in UInt8.random(in: 0...255, using: &generator) }
        return base64(bytes)
    }

    /// The text of the file: the settings that people change, the rest stays with its defaults.
    public static func text(secret: String) -> String {
        """
        {
          "port": \(Keys.port.defaultValue),
          "bind_address": "\(Keys.bindAddress.defaultValue)",
          "jwt_secret": "\(secret)",
          "require_jwt": true,
          "data_path": "./data",
          "max_memory_mb": \(Keys.maxMemoryMB.defaultValue),
          "max_vectors_per_index": \(Keys.maxVectorsPerIndex.defaultValue),
          "log_level": "\(Keys.logLevel.defaultValue)"
        }

        """
    }
}

/// Base64 with padding (RFC 4648, section 4), as `openssl rand -base64` prints it.
func base64(_ bytes: [UInt8]) -> String {
    let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")
    var text = ""
    for start in stride(from: 0, to: bytes.count, by: 3) {
        let group = bytes[start..<min(start + 3, bytes.count)]
        let bits = group.reduce(0) { $0 << 8 | Int($1) } << (8 * (3 - group.count))
        for position in 0..<4 {
            text.append(position <= group.count ? alphabet[bits >> (18 - 6 * position) & 63] : "=")
        }
    }
    return text
}
