package amotest

import (
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"
)

// Requests allowed within any one second ("Limitations").
const (
	perIntegration = 7
	perAccount     = 50
	blockAfter     = 10 // consecutive seconds of excess
)

// limiter keeps the requests of the last second by key, and who overdid it. It is shared by
// the accounts of a server because Kommo counts by source address.
type limiter struct {
	mu      sync.Mutex
	recent  map[string][]time.Time
	excess  map[string]*excess
	blocked map[string]time.Time
}

type excess struct {
	second int64
	run    int // consecutive seconds with refused requests
}

type quota struct {
	key  string
	rate int
}

func newLimiter() *limiter {
	l := &limiter{}
	l.reset()
	return l
}

func (l *limiter) reset() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.recent, l.excess, l.blocked = map[string][]time.Time{}, map[string]*excess{}, map[string]time.Time{}
}

// admit answers 0 when all quotas have room, 429 when one has not, 403 while the last quota's
// key is blocked. Refused requests take no room.
func (l *limiter) admit(now time.Time, block time.Duration, quotas ...quota) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	scope := quotas[len(quotas)-1].key
	if now.Before(l.blocked[scope]) {
		return http.StatusForbidden
	}
	full := false
	for _, q := range quotas {
		kept := l.recent[q.key][:0]
		for _, t := range l.recent[q.key] {
			if age := now.Sub(t); age >= 0 && age < time.Second {
				kept = append(kept, t)
			}
		}
		l.recent[q.key] = kept
		full = full || len(kept) >= q.rate
	}
	if full {
		l.overdone(scope, now, block)
		return http.StatusTooManyRequests
	}
	for _, q := range quotas {
		l.recent[q.key] = append(l.recent[q.key], now)
	}
	return 0
}

func (l *limiter) overdone(scope string, now time.Time, block time.Duration) {
	e := l.excess[scope]
	if e == nil {
		e = &excess{}
		l.excess[scope] = e
	}
	switch second := now.Unix(); second {
	case e.second:
	case e.second + 1:
		e.second, e.run = second, e.run+1
	default:
		e.second, e.run = second, 1
	}
	if e.run >= blockAfter {
		l.blocked[scope] = now.Add(block)
		e.run = 0
	}
}

// limited counts the request and answers it when a limit refuses it.
func (a *Account) limited(w http.ResponseWriter, r *http.Request, client string) bool {
	a.mu.Lock()
	switches := a.switches
	a.mu.Unlock()
	account := fmt.Sprint("account ", a.ID)
	quotas := []quota{{client + " " + account, perIntegration}, {account, perAccount - switches.Strangers}}
	if a.server.config.Variant.PerIP {
		ip, _, _ := net.SplitHostPort(r.RemoteAddr)
		quotas = []quota{{"ip " + ip, perIntegration}}
	}
	verdict := a.server.limiter.admit(a.now(), time.Duration(switches.BlockSeconds)*time.Second, quotas...)
	a.Control.Limits.Count(verdict == 0)
	switch verdict {
	case http.StatusTooManyRequests:
		a.throttled(w)
	case http.StatusForbidden:
		gateway(w, http.StatusForbidden)
	}
	return verdict != 0
}

func (a *Account) throttled(w http.ResponseWriter) {
	a.mu.Lock()
	html, after := a.switches.ThrottleHTML, a.switches.RetryAfter
	a.mu.Unlock()
	if html {
		gateway(w, http.StatusTooManyRequests)
		return
	}
	p := problem(http.StatusTooManyRequests, a.server.config.Variant.words().throttled)
	if after > 0 {
		p["retry_after"] = after
	}
	writeProblem(w, p)
}

// gateway answers the way the web server in front of the API does.
func gateway(w http.ResponseWriter, status int) {
	w.Header().Set("Content-Type", "text/html")
	w.WriteHeader(status)
	title := fmt.Sprint(status, " ", http.StatusText(status))
	_, _ = fmt.Fprintf(w, "<html>\r\n<head><title>%s</title></head>\r\n<body>\r\n<center><h1>%s</h1></center>\r\n<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n", title, title)
}
