import Glibc

/// An authority of a test's own, and what it signs: files in PEM, made by the openssl command.
public final class CertificateAuthority: Sendable {
    /// The name that all its certificates carry, beside 127.0.0.1.
    public static let serverName = "springg.test"

    private let directory: TemporaryDirectory

    /// An authority with a root, and an intermediate that signs.
    public init() throws {
        directory = try TemporaryDirectory()
        try makeKey("root")
        try openssl(["req", "-x509", "-new", "-key", "root.key", "-subj", "/CN=Root", "-days", "2", "-out", "root.pem"])
        try makeKey("signer")
        try sign("signer", by: "root", days: 2, "basicConstraints=critical,CA:TRUE")
    }

    /// The root: what clients trust.
    public var certificate: String { path("root.pem") }

    /// A file in the authority's directory.
    public func path(_ name: String) -> String { directory.path + "/" + name }

    /// Makes a certificate with the intermediate behind it, and its key, that is valid for `days` from now on.
    ///
    /// With fewer than none it has expired. Files of the same name are replaced as a whole, one after the other.
    @discardableResult
    public func issue(_ name: String, days: Int = 1) throws -> (certificate: String, key: String) {
        try makeKey("new")
        try sign("new", by: "signer", days: days, "subjectAltName=DNS:\(Self.serverName),IP:127.0.0.1")
        try Files.write(path("chain.pem"), Files.read(path("new.pem")) + Files.read(path("signer.pem")))
        let files = (path(name + ".pem"), path(name + ".key"))
        guard rename(path("chain.pem"), files.0) == 0, rename(path("new.key"), files.1) == 0 else {
            throw TestKitError.system("renaming certificates")
        }
        return files
    }

    private func makeKey(_ name: String) throws {
        try openssl(["ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", name + ".key"])
        chmod(path(name + ".key"), 0o600)
    }

    private func sign(_ name: String, by signer: String, days: Int, _ extensions: String) throws {
        try Files.write(path("extensions"), Array(extensions.utf8))
        try openssl(["req", "-new", "-key", name + ".key", "-subj", "/CN=\(name)", "-out", "request"])
        try openssl([
            "x509", "-req", "-in", "request", "-CA", signer + ".pem", "-CAkey", signer + ".key", "-CAcreateserial",
            "-days", "\(days)", "-extfile", "extensions", "-out", name + ".pem",
        ])
    }

    private func openssl(_ arguments: [String]) throws {
        let result = try ChildProcess.run(
            "/usr/bin/openssl",
            arguments,
            environment: ["HOME": directory.path],
            workingDirectory: directory.path
        )
        guard result.status == .exited(0) else { throw TestKitError("openssl \(arguments): \(result)") }
    }
}
