package edge

import "edgecache/policy"

// record fills in the access log's record of a request. Its slices are views
// into the session.
func (s *Session) record(r *Record) {
	req, c, t := &s.Request, &s.Cache, &s.Timing
	*r = Record{
		Time: t.RequestStart, ID: s.ID, Kind: s.Kind, Client: s.Client,
		Method: req.Method, Scheme: s.Scheme, Host: req.Host,
		Path: req.Path, Query: req.Query, HasQuery: req.HasQuery,
		Status: s.Status, BodyBytes: s.BodyBytes, Bytes: s.HeadBytes + s.BodyBytes,
		Cache: c.Status, Tier: c.Tier, Reason: c.Reason, Unstored: c.Unstored, TTL: c.TTL, Age: c.Age,
		Retries: s.RetryCount, Duration: t.ResponseSent - t.RequestStart, Proto: req.Proto,
	}
	r.UserAgent, _ = req.Fields.Get("User-Agent")
	r.Referer, _ = req.Fields.Get("Referer")
	if s.Peer != nil {
		r.Peer, r.PeerHealthy = s.Peer.Name(), s.Peer.Healthy(s.engine.now())
	}
	if t.UpstreamResponseEnd > 0 && t.UpstreamRequestSent > 0 {
		r.Upstream = t.UpstreamResponseEnd - t.UpstreamRequestSent
	}
	if s.Err != nil {
		r.Error = s.Err.Error()
		if s.Status < 400 {
			r.Fault = classify(s.Err).why
		}
	}
}

// Refuse counts and logs a head that was too malformed to become a session.
func (e *Engine) Refuse(r Refusal) {
	rec := refusalRecord(&r)
	e.metrics.observe(&rec)
	e.explain.addRefusal(&r, &rec)
	if e.cfg.AccessLog != nil {
		e.cfg.AccessLog.Write(&rec)
	}
}

func refusalRecord(r *Refusal) Record {
	rec := Record{
		Time: r.At, Kind: KindClient, Scheme: "http", Status: r.Status, Bytes: r.Bytes,
		Cache: CacheBypass, Reason: policy.BadRequest, Age: -1, Proto: r.Proto, Error: r.Detail,
		Client: r.Remote.Addr().Unmap().AppendTo(nil),
	}
	if r.TLS {
		rec.Scheme = "https"
	}
	return rec
}
