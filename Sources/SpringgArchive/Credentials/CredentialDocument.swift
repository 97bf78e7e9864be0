import CSpringg
import SpringgLog

/// The JSON in which the metadata service and the container endpoint hand out temporary keys.
enum CredentialDocument {
    /// Text members of a flat object; nil when the bytes are no JSON object or a text is longer than any token.
    static func texts(_ bytes: [UInt8]) -> [String: String]? {
        bytes.withUnsafeBytes { bytes in
            guard let start = bytes.baseAddress else { return nil }
            var reader = springg_json()
            springg_json_start(&reader, start, bytes.count)
            guard springg_json_object_begin(&reader) == SPRINGG_JSON_OK else { return nil }
            var members: [String: String] = [:]
            while true {
                var more = false
                var key = springg_json_slice()
                guard springg_json_object_next(&reader, &more, &key) == SPRINGG_JSON_OK else { return nil }
                guard more else { break }
                let name = String(decoding: UnsafeBufferPointer(start: key.start, count: key.length), as: UTF8.self)
                if springg_json_peek(&reader) == SPRINGG_JSON_STRING {
                    guard let text = string(&reader) else { return nil }
                    members[name] = text
                } else {
                    var raw = springg_json_slice()
                    guard springg_json_skip(&reader, &raw) == SPRINGG_JSON_OK else { return nil }
                }
            }
            return springg_json_finish(&reader) == SPRINGG_JSON_OK ? members : nil
        }
    }

    private static func string(_ reader: inout springg_json) -> String? {
        var length = 0
        var isRead = false
        let bytes = [UInt8](unsafeUninitializedCapacity: 16 << 10) { out, count in
            isRead =
                springg_json_string(&reader, out.baseAddress, out.count, &length) == SPRINGG_JSON_OK
                && length <= out.count
            count = isRead ? length : 0
        }
        return isRead ? String(decoding: bytes, as: UTF8.self) : nil
    }

    /// Reads keys; `place` begins the message when they are not there.
    static func credentials(_ bytes: [UInt8], from place: String) throws(CredentialProblem) -> AWSCredentials {
        guard let members = texts(bytes) else {
            throw CredentialProblem("\(place) answered no JSON object", isTransient: true)
        }
        if let code = members["Code"], code != "Success" {
            throw CredentialProblem("\(place) answered \(code.prefix(64))", isTransient: true)
        }
        let expiry = members["Expiration"].flatMap(CivilTime.seconds)
        let credentials = AWSCredentials(
            accessKeyID: members["AccessKeyId"] ?? "",
            secretAccessKey: members["SecretAccessKey"] ?? "",
            sessionToken: members["Token"],
            expirySeconds: expiry
        )
        guard let credentials, members["Expiration"] == nil || expiry != nil else {
            throw CredentialProblem("\(place) answered without AccessKeyId, SecretAccessKey or a readable Expiration")
        }
        return credentials
    }
}
