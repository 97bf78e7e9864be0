import Glibc
import SpringgLog

/// Keys in the files `~/.aws/credentials` and `~/.aws/config`, in the profile that `AWS_PROFILE` names or `default`.
struct ProfileCredentials: CredentialSource {
    let name = "profile"
    let environment: Environment
    let fileSystem: any FileSystem

    /// Larger than any such file; what is beyond is another kind of file.
    private static let fileBytesMax = 1 << 20

    func fetch() throws(CredentialProblem) -> AWSCredentials? {
        let wanted = environment("AWS_PROFILE").flatMap { $0.isEmpty ? nil : $0 }
        let profile = wanted ?? "default"
        let home = environment("HOME") ?? "/root"
        let credentials = environment("AWS_SHARED_CREDENTIALS_FILE") ?? home + "/.aws/credentials"
        let config = environment("AWS_CONFIG_FILE") ?? home + "/.aws/config"
        var isKnown = false
        for (path, section) in [
            (credentials, profile), (config, profile == "default" ? profile : "profile " + profile),
        ] {
            guard let values = try values(of: section, in: path) else { continue }
            isKnown = true
            let key = values["aws_access_key_id"] ?? ""
            let secret = values["aws_secret_access_key"] ?? ""
            if key.isEmpty && secret.isEmpty {
                let others = [
                    "role_arn", "sso_session", "sso_start_url", "credential_process", "web_identity_token_file",
                ]
                if let other = others.first(where: { values[$0] != nil }) {
                    throw CredentialProblem(
                        "profile \(profile) of \(path) uses \(other), which is not supported: it needs keys"
                    )
                }
                continue
            }
            let found = AWSCredentials(
                accessKeyID: key,
                secretAccessKey: secret,
                sessionToken: values["aws_session_token"],
                expirySeconds: nil
            )
            guard let found else {
                throw CredentialProblem(
                    "profile \(profile) of \(path) needs aws_access_key_id and aws_secret_access_key, without blanks"
                )
            }
            return found
        }
        // Somebody who names a profile must not end up with another identity.
        if let wanted {
            throw CredentialProblem(
                "profile \(wanted) \(isKnown ? "has no keys in" : "is not in") \(credentials) or \(config)"
            )
        }
        return nil
    }

    /// The values of one section; nil when there is no such file or section.
    private func values(of wanted: String, in path: String) throws(CredentialProblem) -> [String: String]? {
        guard let text = try text(of: path) else { return nil }
        var values: [String: String]?
        var isWanted = false
        for line in text.split(whereSeparator: \.isNewline) {
            let content = line.trimmed
            if content.hasPrefix("[") {
                guard let end = content.lastIndex(of: "]") else { continue }
                let name = content[content.index(after: content.startIndex)..<end]
                isWanted = name.split(whereSeparator: \.isWhitespace).joined(separator: " ") == wanted
                if isWanted { values = values ?? [:] }
            } else if isWanted, let equals = content.firstIndex(of: "="), !"#;".contains(content.first ?? "#"),
                // An indented line belongs to the setting above, such as `s3 =`.
                line.first?.isWhitespace == false
            {
                let key = content[..<equals].trimmed.lowercased()
                values?[key] = String(content[content.index(after: equals)...].trimmed)
            }
        }
        return values
    }

    private func text(of path: String) throws(CredentialProblem) -> String? {
        do throws(FileSystemError) {
            let bytes = try fileSystem.contents(of: path, atMost: ProfileCredentials.fileBytesMax)
            return String(decoding: bytes, as: UTF8.self)
        } catch  where error.code == ENOENT || error.code == ENOTDIR {
            return nil
        } catch {
            throw CredentialProblem("\(error)")
        }
    }
}

extension Substring {
    /// Without white space at the ends.
    fileprivate var trimmed: Substring {
        var text = self
        while text.first?.isWhitespace == true { text.removeFirst() }
        while text.last?.isWhitespace == true { text.removeLast() }
        return text
    }
}
