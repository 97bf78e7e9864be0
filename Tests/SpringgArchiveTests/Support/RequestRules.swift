import COpenSSL
import SpringgArchive
import SpringgLog
import SpringgTestKit

/// What AWS demands of a request, worked out from the bytes that came and from nothing of ours.
///
/// Source: the S3 API reference, "Signature Calculations for the Authorization Header" and "Checking object integrity". The
/// servers that can be had for tests check less: none compares the payload's hash.
struct RequestRules {
    let secretKey: String
    let region: String
    var service = "s3"

    /// The rules that a request breaks.
    func violations(_ request: StubServer.Request) -> [String] {
        var broken: [String] = []
        func rule(_ holds: Bool, _ text: String) { if !holds { broken.append(text) } }

        rule(request.header("expect") == nil, "sends Expect, unsigned")
        rule(request.header("transfer-encoding") == nil, "is chunked")
        rule(request.header("user-agent") == "springg", "has no user agent")
        if ["PUT", "POST"].contains(request.method) {
            rule(request.header("content-length") != nil, "has no Content-Length")
        }
        rule(request.header("x-amz-content-sha256") == hex(sha256(request.body)), "has another hash than its body")
        for (name, value) in request.headers where name.lowercased() == "x-amz-checksum-crc32c" {
            rule(value == crcText(request.body), "has another CRC-32C than its body")
        }
        if request.method == "PUT" || request.query.hasPrefix("delete=") {
            rule(request.header("x-amz-checksum-crc32c") != nil, "has no checksum")
        }
        rule(canonicalPath(request.path) == request.path, "has a path that is not in canonical form: \(request.path)")
        rule(
            canonicalQuery(request.query) == request.query,
            "has a query that is not in canonical form: \(request.query)"
        )
        broken += signatureViolations(request)
        return broken
    }

    /// What is wrong with the signature, by the rules that hold for all services.
    func signatureViolations(_ request: StubServer.Request) -> [String] {
        guard let text = request.header("authorization"), let rest = text.split(separator: " ", maxSplits: 1).last,
            text.hasPrefix("AWS4-HMAC-SHA256 ")
        else { return ["is not signed"] }
        var parts: [String: String] = [:]
        for part in rest.split(separator: ",") {
            let pair = part.drop { $0 == " " }.split(separator: "=", maxSplits: 1)
            if pair.count == 2 { parts[String(pair[0])] = String(pair[1]) }
        }
        let scope = (parts["Credential"] ?? "").split(separator: "/").dropFirst().map(String.init)
        let signed = (parts["SignedHeaders"] ?? "").split(separator: ";").map(String.init)
        let time = request.header("x-amz-date") ?? ""
        guard scope.count == 4, scope[0] == time.prefix(8), scope[1] == region,
            scope[2...] == [service, "aws4_request"]
        else {
            return ["has a wrong scope: \(scope)"]
        }
        var broken: [String] = []
        let unsignedAllowed: Set = ["content-length", "user-agent", "authorization", "connection", "accept"]
        for (name, _) in request.headers where !unsignedAllowed.contains(name.lowercased()) {
            if !signed.contains(name.lowercased()) { broken.append("does not sign \(name)") }
        }
        if signed != signed.sorted() { broken.append("does not sort the signed headers") }
        var canonical =
            request.method + "\n" + canonicalPath(request.path) + "\n" + canonicalQuery(request.query) + "\n"
        for name in signed {
            let values = request.headers.filter { $0.name.lowercased() == name }
            if values.isEmpty { broken.append("signs \(name) but does not send it") }
            canonical += name + ":" + values.map(\.value).joined(separator: ",") + "\n"
        }
        canonical += "\n" + signed.joined(separator: ";") + "\n" + hex(sha256(request.body))
        let toSign = "AWS4-HMAC-SHA256\n\(time)\n\(scope.joined(separator: "/"))\n\(hex(sha256(Array(canonical.utf8))))"
        var key = Array("AWS4\(secretKey)".utf8)
        for part in scope { key = hmac(Array(part.utf8), key) }
        if hex(hmac(Array(toSign.utf8), key)) != parts["Signature"] { broken.append("has a wrong signature") }
        return broken
    }

    private func canonicalPath(_ path: String) -> String {
        path.split(separator: "/", omittingEmptySubsequences: false).map { encode(decode(String($0))) }.joined(
            separator: "/"
        )
    }

    private func canonicalQuery(_ query: String) -> String {
        query.split(separator: "&").map { pair -> (String, String) in
            let halves = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
            return (encode(decode(halves[0])), halves.count > 1 ? encode(decode(halves[1])) : "")
        }
        .sorted { $0 < $1 }.map { $0.0 + "=" + $0.1 }.joined(separator: "&")
    }

    private func encode(_ text: [UInt8]) -> String {
        let kept = Set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~".utf8)
        return text.map { kept.contains($0) ? String(UnicodeScalar($0)) : "%" + hex([$0]).uppercased() }.joined()
    }
}

/// Takes percent-encoding away.
func decode(_ text: String) -> [UInt8] {
    var bytes: [UInt8] = []
    var rest = Array(text.utf8)[...]
    while let byte = rest.popFirst() {
        if byte == UInt8(ascii: "%"), let value = UInt8(String(decoding: rest.prefix(2), as: UTF8.self), radix: 16) {
            bytes.append(value)
            rest = rest.dropFirst(2)
        } else {
            bytes.append(byte)
        }
    }
    return bytes
}

func hex(_ bytes: [UInt8]) -> String {
    bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
}

func sha256(_ bytes: [UInt8]) -> [UInt8] {
    var out = [UInt8](repeating: 0, count: 32)
    SHA256(bytes, bytes.count, &out)
    return out
}

func hmac(_ message: [UInt8], _ key: [UInt8]) -> [UInt8] {
    var out = [UInt8](repeating: 0, count: 32)
    var count: UInt32 = 0
    HMAC(EVP_sha256(), key, Int32(key.count), message, message.count, &out, &count)
    return out
}

/// The CRC-32C of bytes as S3 writes it, with libcrypto's base64.
func crcText(_ bytes: [UInt8]) -> String {
    let crc = bytes.withUnsafeBytes { Checksum.crc32c($0) }
    let word = withUnsafeBytes(of: crc.bigEndian) { Array($0) }
    var out = [UInt8](repeating: 0, count: 9)
    EVP_EncodeBlock(&out, word, 4)
    return String(decoding: out.prefix(8), as: UTF8.self)
}
