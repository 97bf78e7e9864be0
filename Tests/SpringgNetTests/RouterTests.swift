import NIOHTTP1
import SpringgNet
import Testing

@Suite struct RouterTests {
    private func target(_ endpoint: Endpoint, _ index: String = "", _ item: String = "") -> Routing {
        .target(Target(endpoint: endpoint, index: Array(index.utf8), item: Array(item.utf8)))
    }

    @Test func everyDocumentedPathIsFound() {
        let table: [(HTTPMethod, String, Routing)] = [
            (.GET, "/api/health", target(.health)),
            (.GET, "/api/indexes", target(.listIndexes)),
            (.POST, "/api/indexes/a", target(.createIndex, "a")),
            (.DELETE, "/api/indexes/a", target(.deleteIndex, "a")),
            (.GET, "/api/indexes/a/stats", target(.indexStats, "a")),
            (.POST, "/api/indexes/a/vectors", target(.addVector, "a")),
            (.POST, "/api/indexes/a/vectors/bulk", target(.bulkAdd, "a")),
            (.GET, "/api/indexes/a/vectors/b", target(.getVector, "a", "b")),
            (.PUT, "/api/indexes/a/vectors/b", target(.updateVector, "a", "b")),
            (.DELETE, "/api/indexes/a/vectors/b", target(.deleteVector, "a", "b")),
            (.POST, "/api/indexes/a/search", target(.search, "a")),
            (.GET, "/internal/indexes", target(.internalIndexes)),
            (.GET, "/internal/cluster/status", target(.clusterStatus)),
            (.POST, "/internal/replicate", target(.replicate)),
            (.GET, "/internal/sync/a/manifest", target(.syncManifest, "a")),
            (.GET, "/internal/sync/a/block/0", target(.syncBlock, "a", "0")),
            (.GET, "/internal/digest/a/8", target(.digestBuckets, "a", "8")),
            (.GET, "/internal/digest/a/8/255", target(.digestRows, "a", "8/255")),
        ]
        for (method, uri, expected) in table {
            #expect(Router.route(method: method, uri: uri) == expected, "\(method) \(uri)")
        }
    }

    @Test func namesAreDecodedAfterTheSplit() {
        #expect(
            Router.route(method: .GET, uri: "/api/indexes/a/vectors/x%2Fy%20z%C3%A9?q=/1")
                == target(.getVector, "a", "x/y zé")
        )
        #expect(Router.route(method: .GET, uri: "/api/%69ndexes/a/stats") == target(.indexStats, "a"))
        // A vector that is called "bulk" can be read; only POST means a bulk request.
        #expect(Router.route(method: .GET, uri: "/api/indexes/a/vectors/bulk") == target(.getVector, "a", "bulk"))
        // What a proxy sends.
        #expect(Router.route(method: .GET, uri: "http://h:80/api/indexes/a/stats") == target(.indexStats, "a"))
    }

    @Test(arguments: [
        "", "*", "/api", "/api/", "/api/health/", "/api/indexes/", "/api/indexes//stats", "/api/indexes/a/",
        "/api/indexes/a/vectors/", "/api/indexes/a/vectors/b/", "/api/indexes/a/vectors/b/c", "/api/indexes/a/vector",
        "/internal", "/internal/", "/internal/sync/a", "/internal/sync//manifest", "/internal/sync/a/block",
        "/internal/sync/a/block/", "/API/health", "//api/health", "api/health", "http://h", "/a/b/c/d/e/f/g/h/i/%zz",
    ])
    func anythingElseIsNotFound(uri: String) {
        #expect(Router.route(method: .GET, uri: uri) == .notFound)
    }

    @Test func anotherMethodIsRefusedWithTheOnesThereAre() {
        let table: [(HTTPMethod, String, String)] = [
            (.HEAD, "/api/health", "GET, OPTIONS"),
            (.GET, "/api/indexes/a", "POST, DELETE, OPTIONS"),
            (.PATCH, "/api/indexes/a/vectors/b", "GET, PUT, DELETE, OPTIONS"),
            (.GET, "/api/indexes/a/search", "POST, OPTIONS"),
            (.PATCH, "/api/indexes/a/vectors/bulk", "POST, GET, PUT, DELETE, OPTIONS"),
        ]
        for (method, uri, allow) in table {
            #expect(Router.route(method: method, uri: uri) == .methodNotAllowed(allow: allow), "\(method) \(uri)")
        }
    }

    @Test(arguments: ["/api/indexes/%", "/api/indexes/%4", "/api/indexes/%4g/stats", "/%zz", "/api/indexes/%%30"])
    func halfAnEscapeIsMalformed(uri: String) {
        #expect(Router.route(method: .GET, uri: uri) == .malformed)
    }
}
