package payments_test

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
)

// carrier brings what acquirers send to our notice address, badly: it loses letters and answers, doubles, holds back,
// forges, and sends old ones again. What an acquirer goes on sending comes through at last, though.
type carrier struct {
	hooks http.Handler // ours
	fair  func() bool  // says that from now on everything arrives

	mu      sync.Mutex
	dice    *rand.Rand
	held    []letter
	kept    []letter       // for replays
	missing map[string]int // how often a letter was not brought, by what it says
	tally   map[string]int
	refused int // bad signatures, by our answer
}

type letter struct {
	method, url string
	header      http.Header
	body        []byte
}

var errLost = errors.New("lost on the way")

// RoundTrip is what an acquirer's own client calls.
func (p *carrier) RoundTrip(r *http.Request) (*http.Response, error) {
	l := letter{method: r.Method, url: r.URL.String(), header: r.Header.Clone()}
	if r.Body != nil {
		l.body, _ = io.ReadAll(r.Body)
	}
	asked := bytes.Contains(l.body, []byte("EDP_PRECHECK"))
	switch p.mood(l, asked) {
	case "forged":
		p.forge(l)
	case "doubled":
		_ = p.deliver(l)
	case "lost", "held":
		return nil, errLost
	case "answer lost":
		_ = p.deliver(l)
		return nil, errLost
	}
	res := p.deliver(l).Result()
	res.Request = r
	return res, nil
}

// mood draws what becomes of a letter.
func (p *carrier) mood(l letter, asked bool) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.tally["sent"]++
	if p.fair() {
		return "fair"
	}
	if !asked {
		p.kept = append(p.kept, l)
	}
	moods := []string{"fair", "fair", "fair", "doubled", "forged", "lost", "held", "answer lost"}
	if asked { // a question is answered at once or not at all
		moods = []string{"fair", "fair", "fair", "fair", "fair", "doubled", "lost"}
	}
	mood := moods[p.dice.IntN(len(moods))]
	if what := l.url + string(l.body); mood == "lost" || mood == "held" {
		if p.missing[what]++; p.missing[what] > 3 && !asked { // an acquirer tries at least four times
			mood = "fair"
		}
	}
	p.tally[mood]++
	if mood == "held" {
		p.held = append(p.held, l)
	}
	return mood
}

func (p *carrier) deliver(l letter) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	u, err := url.Parse(l.url)
	if err != nil {
		panic(err)
	}
	r := httptest.NewRequest(l.method, u.RequestURI(), bytes.NewReader(l.body))
	r.Header = l.header.Clone()
	p.hooks.ServeHTTP(w, r)
	if w.Code == http.StatusUnauthorized || w.Code == http.StatusForbidden {
		p.mu.Lock()
		p.refused++
		p.mu.Unlock()
	}
	return w
}

// forge sends a letter with one digit changed, as somebody would who does not know the secret.
func (p *carrier) forge(l letter) {
	l.body = bytes.Clone(l.body)
	p.mu.Lock()
	at := p.dice.IntN(len(l.body))
	p.mu.Unlock()
	for range l.body {
		if c := l.body[at]; c >= '0' && c <= '9' && !inPercent(l.body, at) {
			l.body[at] = '0' + (c-'0'+1)%10
			break
		}
		at = (at + 1) % len(l.body)
	}
	_ = p.deliver(l)
}

// inPercent says whether a byte is part of a percent sign's code: changing it would change what the text is.
func inPercent(text []byte, at int) bool {
	return strings.Contains(string(text[max(0, at-2):at]), "%")
}

// release delivers what was held back, the newest first, and old letters once more.
func (p *carrier) release(replays int) {
	p.mu.Lock()
	late := p.held
	p.held = nil
	for range min(replays, len(p.kept)) {
		late = append(late, p.kept[p.dice.IntN(len(p.kept))])
		p.tally["replayed"]++
	}
	p.mu.Unlock()
	for i := range late {
		_ = p.deliver(late[len(late)-1-i])
	}
}
