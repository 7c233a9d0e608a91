package acquirertest

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/dealpay/dealpay/tenants/standintest"
)

// Notice is one message to the merchant's hook.
type Notice struct {
	Name string // what a fault's match looks at, such as "notice payment_session.captured"
	// Make builds the request, anew for each try. A forged one has a signature that is not ours.
	Make func(ctx context.Context, forged bool) (*http.Request, error)
	// Replied takes the merchant's answer (status 0 when there was none), where that decides about the money; such a
	// notice is not repeated. It is not told what a forger was answered.
	Replied func(status int, body []byte)
}

// PostForm is the request of a notice that is a form.
func PostForm(ctx context.Context, address string, form url.Values) (*http.Request, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, address, strings.NewReader(form.Encode()))
	if err == nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	return r, err
}

// Delivery is what became of a notice.
type Delivery struct {
	Name   string `json:"name"`
	Tries  int    `json:"tries"`
	Status int    `json:"status"` // of the last try; 0 when there was no answer
	Done   bool   `json:"done"`   // answered as the acquirer wants it, or given up
}

// Habit is how an acquirer goes on until its notice is answered.
type Habit struct {
	Waits []time.Duration       // between tries, on the stand-in's clock
	Taken func(status int) bool // nil: any 2xx
}

// patient is the habit of whoever documents none.
var patient = []time.Duration{5 * time.Second, 30 * time.Second, 2 * time.Minute, 10 * time.Minute, time.Hour, 6 * time.Hour}

// Courier delivers notices in the background and repeats them until they are answered.
// Its faults: duplicate (sent twice), reorder (overtaken by those of the next second), forge.
type Courier struct {
	client  *http.Client
	control *standintest.Control
	habit   Habit
	stop    context.CancelFunc
	ctx     context.Context
	wake    chan struct{}
	done    sync.WaitGroup
	slots   chan struct{}

	mu      sync.Mutex
	waiting []*parcel
	sent    []*parcel
	epoch   int // counts resets, so that what was under way then is not tried again
	busy    int // parcels under way
}

type parcel struct {
	Delivery
	epoch  int
	notice Notice
	due    time.Time
	forged bool
}

// NewCourier starts one of an acquirer that goes on for hours until it is answered with 2xx; nil means a client with a deadline
// of ten seconds.
func NewCourier(client *http.Client, control *standintest.Control) *Courier {
	return NewCourierOf(client, control, Habit{Waits: patient})
}

// NewCourierOf is NewCourier for an acquirer with a habit of its own.
func NewCourierOf(client *http.Client, control *standintest.Control, habit Habit) *Courier {
	if habit.Taken == nil {
		habit.Taken = func(status int) bool { return status/100 == 2 }
	}
	if client == nil {
		client = &http.Client{Timeout: 10 * time.Second}
	}
	ctx, stop := context.WithCancel(context.Background())
	c := &Courier{client: client, control: control, habit: habit, ctx: ctx, stop: stop, wake: make(chan struct{}, 1), slots: make(chan struct{}, 32)}
	control.Idle = c.idle
	c.done.Add(1)
	go c.run()
	return c
}

// Close stops delivering and waits for what is under way.
func (c *Courier) Close() {
	c.stop()
	c.done.Wait()
}

// Reset forgets all notices.
func (c *Courier) Reset() {
	c.mu.Lock()
	c.waiting, c.sent, c.epoch = nil, nil, c.epoch+1
	c.mu.Unlock()
}

// Deliveries tells what became of the notices, in the order they were first tried.
func (c *Courier) Deliveries() []Delivery {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := []Delivery{}
	for _, p := range c.sent {
		all = append(all, p.Delivery)
	}
	return all
}

// Send delivers the notice n times after a delay.
func (c *Courier) Send(notice Notice, n int, delay time.Duration) {
	due := c.control.Clock.Now().Add(delay)
	if _, ok := c.control.Take(standintest.Duplicate, notice.Name); ok && n > 0 {
		n *= 2
	}
	if _, ok := c.control.Take(standintest.Reorder, notice.Name); ok {
		due = due.Add(time.Second)
	}
	_, forged := c.control.Take(standintest.Forge, notice.Name)
	c.mu.Lock()
	for range n {
		c.waiting = append(c.waiting, &parcel{Delivery: Delivery{Name: notice.Name}, epoch: c.epoch, notice: notice, due: due, forged: forged})
	}
	c.mu.Unlock()
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

func (c *Courier) run() {
	defer c.done.Done()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		for _, p := range c.due() {
			c.slots <- struct{}{}
			c.done.Go(func() {
				c.deliver(p)
				<-c.slots
			})
		}
		select {
		case <-c.ctx.Done():
			return
		case <-c.wake:
		case <-tick.C:
		}
	}
}

// due takes what is to be delivered now.
func (c *Courier) due() []*parcel {
	now := c.control.Clock.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	var due, rest []*parcel
	for _, p := range c.waiting {
		if p.due.After(now) {
			rest = append(rest, p)
			continue
		}
		due = append(due, p)
		if p.Tries == 0 {
			c.sent = append(c.sent, p)
		}
	}
	c.waiting, c.busy = rest, c.busy+len(due)
	return due
}

func (c *Courier) idle() bool {
	now := c.control.Clock.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.busy == 0 && !slices.ContainsFunc(c.waiting, func(p *parcel) bool { return !p.due.After(now) })
}

func (c *Courier) deliver(p *parcel) {
	status, body := c.post(p)
	once := p.notice.Replied != nil
	if once && !p.forged {
		p.notice.Replied(status, body)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.busy--
	p.Tries, p.Status = p.Tries+1, status
	p.Done = once || c.habit.Taken(status) || p.Tries > len(c.habit.Waits)
	if !p.Done && p.epoch == c.epoch {
		p.due = c.control.Clock.Now().Add(c.habit.Waits[p.Tries-1])
		c.waiting = append(c.waiting, p)
	}
}

func (c *Courier) post(p *parcel) (status int, body []byte) {
	r, err := p.notice.Make(c.ctx, p.forged)
	if err != nil {
		return 0, nil
	}
	res, err := c.client.Do(r)
	if err != nil {
		return 0, nil
	}
	defer res.Body.Close()
	body, _ = io.ReadAll(io.LimitReader(res.Body, 64<<10))
	return res.StatusCode, body
}
