import SpringgTestKit
import Testing

/// Waits until a node's archive has everything; returns what `/api/stats` says of it.
@discardableResult
func awaitArchived(_ client: HTTPClient) throws -> JSONValue {
    var archive: JSONValue?
    let hasEverything = try comesTrue {
        archive = try client.request("GET", "/api/stats").data()["archive"]
        return archive?["lag_events"]?.int == 0 && archive?["generation"]?.int ?? 0 > 0
            && archive?["last_error"] == .null
    }
    try #require(hasEverything, "\(archive ?? .null)")
    return try #require(archive)
}
