import NIOHTTP1

/// `/` and `/openapi.json`: what the server says of itself.
extension Worker {
    func page() -> Answer {
        var body = ResponseWriter(capacity: StaticPages.html.utf8.count)
        body.raw(StaticPages.html)
        return Answer(.ok, contentType: .page, body: body)
    }

    func apiDescription() -> Answer {
        let version = context.options.version
        let parts = StaticPages.description.split(separator: "VERSION", maxSplits: 1, omittingEmptySubsequences: false)
        var body = ResponseWriter(capacity: StaticPages.description.utf8.count + version.utf8.count)
        body.raw(String(parts[0]))
        body.raw(version)
        body.raw(String(parts.last ?? ""))
        return Answer(.ok, contentType: .json, body: body)
    }
}

/// The headers that keep a page to itself.
enum PageHeaders {
    /// Nothing from elsewhere, and of scripts and styles the two that the page holds, by their hashes.
    static let lines: String = {
        let (script, style) = (Self.hash(between: "<script>", "</script>"), Self.hash(between: "<style>", "</style>"))
        return
            "\r\nContent-Type: text/html; charset=utf-8\r\nX-Content-Type-Options: nosniff\r\nReferrer-Policy: no-referrer"
            + "\r\nContent-Security-Policy: default-src 'none'; connect-src 'self'; img-src data:; base-uri 'none'; "
            + "form-action 'none'; frame-ancestors 'none'; script-src 'sha256-\(script)'; style-src 'sha256-\(style)'"
    }()

    /// SHA-256 of what stands between two texts of the page, in base64.
    private static func hash(between start: String, _ end: String) -> String {
        let behind = StaticPages.html.split(separator: start, maxSplits: 1).last
        guard let first = behind?.split(separator: end).first else { return "" }
        var hasher = SHA256Hasher()
        var text = String(first)
        text.withUTF8 { hasher.update(UnsafeRawBufferPointer($0)) }
        let hex = Array(hasher.finishAsHex().utf8)
        let bytes = stride(from: 0, to: hex.count, by: 2).compactMap {
            UInt8(String(decoding: hex[$0..<$0 + 2], as: UTF8.self), radix: 16)
        }
        // 32 bytes leave one place to fill.
        return String(Base64URL.encode(bytes).map { $0 == "-" ? "+" : $0 == "_" ? "/" : $0 }) + "="
    }
}
