import Glibc
import SpringgConfiguration

extension Configuration {
    /// Largest configuration file that is read; a file of this size is not one.
    private static let fileBytesMax = 1 << 20

    /// The settings for this process.
    static func load(explicitFile: String?, flags: [String: String] = [:]) throws -> Configuration {
        let loader = ConfigurationLoader(
            explicitFile: explicitFile,
            flags: flags,
            environment: environmentVariables(),
            readFile: readFile
        )
        do {
            return try loader.load()
        } catch {
            throw CommandFailure(configurationError: error)
        }
    }

    /// As `checkSecret()`, with the command line's form of the error.
    func requireGoodSecret() throws {
        do {
            try checkSecret()
        } catch {
            throw CommandFailure(configurationError: error)
        }
    }

    /// The secrets of `jwt_secrets`.
    func namedSecrets() throws -> [NamedSecret] {
        do throws(ConfigurationValueError) {
            return try NamedSecret.list(self[Keys.jwtSecrets])
        } catch {
            throw CommandFailure("invalid jwt_secrets: \(error.reason)")
        }
    }

    private static func environmentVariables() -> [String: String] {
        var variables: [String: String] = [:]
        var entry = environ
        while let text = entry.pointee {
            let pair = String(cString: text).split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            if pair.count == 2 { variables[String(pair[0])] = String(pair[1]) }
            entry += 1
        }
        return variables
    }

    /// The bytes of a file, nil when there is none.
    private static func readFile(_ path: String) throws(ConfigurationError) -> [UInt8]? {
        func reason() -> String { String(cString: strerror(errno)) }

        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else {
            if errno == ENOENT || errno == ENOTDIR { return nil }
            throw .fileUnreadable(path, reason: reason())
        }
        defer { close(descriptor) }
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 1 << 16)
        while true {
            let count = read(descriptor, &chunk, chunk.count)
            if count == 0 { return bytes }
            if count < 0 {
                if errno == EINTR { continue }
                throw .fileUnreadable(path, reason: reason())
            }
            bytes += chunk[..<count]
            guard bytes.count <= fileBytesMax else { throw .fileUnreadable(path, reason: "larger than 1 MiB") }
        }
    }
}

extension CommandFailure {
    /// The Go program's prefix, the error's line, and what to do.
    init(configurationError error: ConfigurationError) {
        self.init("failed to load config: \(error)", advice: error.advice)
    }
}
