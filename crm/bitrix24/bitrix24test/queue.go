package bitrix24test

import (
	"context"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// delivery is one event on its way.
type delivery struct {
	url, body, member string
	late              bool // goes after the next one
}

// Sent is what became of a delivery; Status is 0 when nobody answered.
type Sent struct {
	Member string    `json:"-"`
	URL    string    `json:"url"`
	Body   string    `json:"body"`
	Status int       `json:"status"`
	At     time.Time `json:"at"`
}

// queue delivers events one after another. A failed delivery is lost: the real queue does
// not retry (page "Events").
type queue struct {
	client *http.Client
	cancel context.CancelFunc
	done   chan struct{}
	wake   chan struct{}

	mu      sync.Mutex
	waiting []delivery
	busy    bool
	sent    []Sent
}

const (
	keptSent = 10_000
	// lateWait is how long a reordered event waits for one to overtake it.
	lateWait = 500 * time.Millisecond
)

func newQueue(client *http.Client) *queue {
	ctx, cancel := context.WithCancel(context.Background())
	q := &queue{client: client, cancel: cancel, done: make(chan struct{}), wake: make(chan struct{}, 1)}
	go q.run(ctx)
	return q
}

func (q *queue) push(d delivery) {
	q.mu.Lock()
	q.waiting = append(q.waiting, d)
	q.mu.Unlock()
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

func (q *queue) close() {
	q.cancel()
	<-q.done
}

func (q *queue) run(ctx context.Context) {
	defer close(q.done)
	for {
		d, ok := q.next(ctx)
		if ctx.Err() != nil {
			return
		}
		if ok {
			q.post(ctx, d)
			continue
		}
		select {
		case <-ctx.Done():
			return
		case <-q.wake:
		}
	}
}

// next takes the first delivery, or the second when the first is to be overtaken.
func (q *queue) next(ctx context.Context) (delivery, bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.busy = len(q.waiting) > 0
	if !q.busy {
		return delivery{}, false
	}
	if q.waiting[0].late && len(q.waiting) == 1 {
		q.mu.Unlock()
		select {
		case <-q.wake:
		case <-time.After(lateWait):
		case <-ctx.Done():
		}
		q.mu.Lock()
	}
	i := 0
	if q.waiting[0].late && len(q.waiting) > 1 {
		q.waiting[0].late = false
		i = 1
	}
	d := q.waiting[i]
	if i == 0 {
		q.waiting = q.waiting[1:]
	} else {
		q.waiting = slices.Delete(q.waiting, i, i+1)
	}
	return d, true
}

func (q *queue) post(ctx context.Context, d delivery) {
	record := Sent{Member: d.member, URL: d.url, Body: d.body, At: time.Now()}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, d.url, strings.NewReader(d.body))
	if err == nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		req.Header.Set("User-Agent", "Bitrix24 Webhook Engine")
		var resp *http.Response
		if resp, err = q.client.Do(req); err == nil {
			_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, 1<<16))
			_ = resp.Body.Close()
			record.Status = resp.StatusCode
		}
	}
	q.mu.Lock()
	q.sent = append(q.sent[max(0, len(q.sent)-keptSent):], record)
	q.mu.Unlock()
}

// idle reports whether nothing waits and nothing is being sent.
func (q *queue) idle() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.waiting) == 0 && !q.busy
}

func (q *queue) delivered() []Sent {
	q.mu.Lock()
	defer q.mu.Unlock()
	return append([]Sent{}, q.sent...)
}
