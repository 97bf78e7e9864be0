package import NIOHTTP1

extension Endpoint {
    /// The method and the path with its names in braces: what metrics and the API's description call a request.
    package var route: (method: HTTPMethod, path: String) {
        switch self {
        case .health: (.GET, "/api/health")
        case .live: (.GET, "/livez")
        case .ready: (.GET, "/readyz")
        case .metrics: (.GET, "/metrics")
        case .page: (.GET, "/")
        case .apiDescription: (.GET, "/openapi.json")
        case .events: (.GET, "/api/events")
        case .nodeStats: (.GET, "/api/stats")
        case .listIndexes: (.GET, "/api/indexes")
        case .createIndex: (.POST, "/api/indexes/{name}")
        case .deleteIndex: (.DELETE, "/api/indexes/{name}")
        case .indexStats: (.GET, "/api/indexes/{name}/stats")
        case .addVector: (.POST, "/api/indexes/{name}/vectors")
        case .bulkAdd: (.POST, "/api/indexes/{name}/vectors/bulk")
        case .getVector: (.GET, "/api/indexes/{name}/vectors/{id}")
        case .updateVector: (.PUT, "/api/indexes/{name}/vectors/{id}")
        case .deleteVector: (.DELETE, "/api/indexes/{name}/vectors/{id}")
        case .search: (.POST, "/api/indexes/{name}/search")
        case .searchBatch: (.POST, "/api/indexes/{name}/search/batch")
        case .listMarks: (.GET, "/api/marks")
        case .setMark: (.POST, "/api/marks")
        case .internalIndexes: (.GET, "/internal/indexes")
        case .clusterStatus: (.GET, "/internal/cluster/status")
        case .joinCluster: (.POST, "/internal/cluster/join")
        case .leaveCluster: (.POST, "/internal/cluster/leave")
        case .forgetMember: (.POST, "/internal/cluster/forget")
        case .readmit: (.POST, "/internal/cluster/readmit")
        case .replicate: (.POST, "/internal/replicate")
        case .shipLog: (.POST, "/internal/log")
        case .pullLog: (.POST, "/internal/log/pull")
        case .snapshot: (.POST, "/internal/snapshot")
        case .snapshotBlock: (.GET, "/internal/snapshot/{name}")
        case .syncManifest: (.GET, "/internal/sync/{name}/manifest")
        case .syncBlock: (.GET, "/internal/sync/{name}/block/{number}")
        case .digestBuckets: (.GET, "/internal/digest/{name}/{bits}")
        case .digestRows: (.GET, "/internal/digest/{name}/{bits}/{bucket}")
        }
    }
}
