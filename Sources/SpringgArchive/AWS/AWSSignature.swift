import COpenSSL
import SpringgLog

/// AWS Signature Version 4 in headers.
///
/// Source: "Authenticating Requests: Using the Authorization Header (AWS Signature Version 4)" of the S3 API reference. Our
/// own, and not libcurl's (CURLOPT_AWS_SIGV4), for two reasons that no help from outside removes: libcurl signs with this
/// machine's clock, which cannot be corrected, and it signs header names that it does not send, so that `Expect` stays in.
package struct AWSSignature: Sendable {
    /// Region, such as `eu-central-1`.
    package let region: String
    /// Service, such as `s3` or `ec2`.
    package let service: String

    /// SHA-256 of no bytes.
    package static let emptyPayload = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

    /// Makes a signer for one service in one region.
    package init(region: String, service: String) {
        self.region = region
        self.service = service
    }

    /// Adds `x-amz-date`, the session token and `Authorization` to a request.
    ///
    /// Every header that the request has is signed, and `Host`; what libcurl adds (`Content-Length`, `User-Agent`) is not.
    /// `payload` is the body's SHA-256 in hex; S3 wants it as the header `x-amz-content-sha256` too.
    package func sign(
        _ request: inout HTTPRequest,
        _ credentials: AWSCredentials,
        payload: String,
        atSeconds seconds: Int
    ) {
        let time = CivilTime.basic(seconds)
        request.headers.append(HTTPField("x-amz-date", time))
        if let token = credentials.sessionToken { request.headers.append(HTTPField("x-amz-security-token", token)) }
        let (canonical, names) = AWSSignature.canonical(request, payload: payload)
        let day = String(time.prefix(8))
        let scope = "\(day)/\(region)/\(service)/aws4_request"
        let text = "AWS4-HMAC-SHA256\n\(time)\n\(scope)\n\(Digest.sha256Hex(of: canonical))"
        let signature = Digest.hex(Digest.hmac(text, key: signingKey(credentials, day: day)))
        request.headers.append(
            HTTPField(
                "authorization",
                "AWS4-HMAC-SHA256 Credential=\(credentials.accessKeyID)/\(scope), "
                    + "SignedHeaders=\(names), Signature=\(signature)"
            )
        )
    }

    /// The request in the one form that both sides agree on, and the names of the headers in it.
    static func canonical(_ request: HTTPRequest, payload: String) -> (text: String, headerNames: String) {
        var values: [String: [String]] = ["host": [trimmed(request.endpoint.authority)]]
        for field in request.headers { values[field.name.lowercased(), default: []].append(trimmed(field.value)) }
        let sorted = values.sorted { $0.key < $1.key }
        let names = sorted.map(\.key).joined(separator: ";")
        let headers = sorted.map { "\($0.key):\($0.value.joined(separator: ","))\n" }.joined()
        let text = "\(request.method)\n\(request.path)\n\(request.encodedQuery)\n\(headers)\n\(names)\n\(payload)"
        return (text, names)
    }

    /// Without blanks at the ends, and single ones within.
    private static func trimmed(_ value: String) -> String { value.split(separator: " ").joined(separator: " ") }

    private func signingKey(_ credentials: AWSCredentials, day: String) -> [UInt8] {
        var key = Array("AWS4".utf8) + Array(credentials.secretAccessKey.utf8)
        for part in [day, region, service, "aws4_request"] { key = Digest.hmac(part, key: key) }
        return key
    }
}
