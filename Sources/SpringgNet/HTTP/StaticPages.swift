import CSpringgPages

/// What the server says of itself: files of `CSpringgPages`, which are part of the program.
enum StaticPages {
    /// The page at `/`: one document without anything from elsewhere, written by hand.
    static let html = text(springg_index_html())

    /// The API's description, OpenAPI 3.1, as `/openapi.json` gives it; `VERSION` stands for the program's.
    ///
    /// Written by hand. Tests hold it against the router and the list of codes; `make check-api` sends a server what it allows
    /// and what it forbids.
    static let description = text(springg_openapi_json())

    private static func text(_ file: springg_file) -> String {
        String(decoding: UnsafeRawBufferPointer(start: file.start, count: file.count), as: UTF8.self)
    }
}
