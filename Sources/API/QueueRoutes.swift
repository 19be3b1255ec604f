// GET /queue, POST /queue/pause and /queue/resume: the queue as a whole.

import Hummingbird
import Jobs
import Spool
import TextFormats

struct QueueRoutes: RouteGroup {
    let jobs: JobClient
    let bridge: BlockingBridge

    var routes: [Route] {
        [
            Route(.get, "/queue", for: .admin) { _, _ in 
                .json(try await bridge.run(for: .operators) { [jobs] in try jobs.queue() }.json)
            },
            Route(.post, "/queue/pause", for: .admin) { request, _ in
                try await request.noBody()
                return .json(
                    try await bridge.run(for: .operators) { [jobs] in
                        try jobs.pause()
                        return try jobs.queue()
                    }.json)
            },
            Route(.post, "/queue/resume", for: .admin) { request, _ in
                try await request.noBody()
                return .json(
                    try await bridge.run(for: .operators) { [jobs] in
                        try jobs.resume()
                        return try jobs.queue()
                    }.json)
            },
        ]
    }
}
