package main

import (
	"context"
	"fmt"
	"net/http"
	"regexp"
	"runtime/debug"
	"strconv"
	"time"

	"github.com/dealpay/dealpay/tenants"
	"github.com/dealpay/dealpay/widgets"
	"github.com/gin-gonic/gin"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

var requests = promauto.NewHistogramVec(prometheus.HistogramOpts{Name: "dealpay_http_request_seconds",
	Help: "Time to answer, by route and status.", Buckets: []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 10}}, []string{"route", "method", "status"})

var requestID = regexp.MustCompile(`^[A-Za-z0-9_.-]{8,64}$`)

// identify gives every request an id, which every answer and the audit trail carry. It stands around gin, which answers some
// requests without asking any handler: those that lack a slash or have one too many.
func identify(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id := r.Header.Get("X-Request-Id")
		if !requestID.MatchString(id) {
			id = tenants.NewUUID().String()
		}
		header := w.Header()
		header.Set("X-Request-Id", id)
		header.Set("X-Content-Type-Options", "nosniff")
		header.Set("Referrer-Policy", "no-referrer")
		next.ServeHTTP(w, r.WithContext(tenants.WithRequest(r.Context(), id)))
	})
}

func (h *house) recover(c *gin.Context) {
	defer func() {
		broken := recover()
		if broken == nil {
			return
		}
		if err, ok := broken.(error); ok && err == http.ErrAbortHandler { //nolint:errorlint // net/http compares it so
			panic(broken)
		}
		h.log.ErrorContext(c.Request.Context(), "panic", "route", c.FullPath(), "cause", fmt.Sprint(broken), "stack", string(debug.Stack()))
		widgets.Problem(c, http.StatusInternalServerError, "internal", "Something failed on our side. Try again; if it stays, give support the request id.")
	}()
	c.Next()
}

// observe measures and logs. Paths may hold tokens, so only the route's pattern is written.
func (h *house) observe(c *gin.Context) {
	began := time.Now()
	c.Next()
	status := c.Writer.Status()
	requests.WithLabelValues(c.FullPath(), c.Request.Method, strconv.Itoa(status)).Observe(time.Since(began).Seconds())
	h.log.DebugContext(c.Request.Context(), "answered", "request", tenants.RequestOf(c.Request.Context()), "method", c.Request.Method,
		"route", c.FullPath(), "status", status, "ms", time.Since(began).Milliseconds())
}

// ready says whether requests can be served: without PostgreSQL they cannot, without Redis they can.
func (h *house) ready(c *gin.Context) {
	answers := func(ping func(context.Context) error) bool { // each has its own time: one that hangs says nothing of the other
		ctx, cancel := context.WithTimeout(c.Request.Context(), time.Second)
		defer cancel()
		return ping(ctx) == nil
	}
	state := gin.H{"database": "ok", "redis": "ok"}
	status := http.StatusOK
	if !answers(func(ctx context.Context) error { return h.redis.Ping(ctx).Err() }) {
		state["redis"] = "away"
	}
	if !answers(h.db.Ping) {
		state["database"] = "away"
		status = http.StatusServiceUnavailable
		c.Header("Retry-After", "5")
	}
	c.JSON(status, state)
}
