package payments

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/sony/gobreaker/v2"
)

// An acquirer that hangs is left alone after so many slow ends in a row, and then one question at a time finds out whether it is
// back: the questions of its open attempts would take every place of a worker, and those of other acquirers would wait for them.
const (
	hanging  = 5 * time.Second // an end that took longer is slow
	mostHung = 5
	hungFor  = 5 * time.Second
)

// hangs knows which acquirers hang. The zero value knows of none.
type hangs struct {
	mu sync.Mutex
	at map[string]*gobreaker.CircuitBreaker[struct{}]
}

func (h *hangs) of(place string) *gobreaker.CircuitBreaker[struct{}] {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.at == nil {
		h.at = map[string]*gobreaker.CircuitBreaker[struct{}]{}
	}
	b, known := h.at[place]
	if !known {
		b = gobreaker.NewCircuitBreaker[struct{}](gobreaker.Settings{Timeout: hungFor,
			ReadyToTrip: func(c gobreaker.Counts) bool { return c.ConsecutiveFailures >= mostHung }})
		h.at[place] = b
	}
	return b
}

// ask has look ask what answers at place, unless that hangs. Error: ErrUnavailable, or look's own.
func (h *hangs) ask(place string, look func() (Observation, error)) (seen Observation, end error) {
	_, refused := h.of(place).Execute(func() (struct{}, error) {
		began := time.Now()
		if seen, end = look(); errors.Is(end, ErrUnavailable) && time.Since(began) >= hanging {
			return struct{}{}, end
		}
		return struct{}{}, nil
	})
	if errors.Is(refused, gobreaker.ErrOpenState) || errors.Is(refused, gobreaker.ErrTooManyRequests) {
		end = fmt.Errorf("%w: it hangs", ErrUnavailable)
	}
	return seen, end
}

// place is where a connection's questions are answered: one acquirer may stand behind several gateways.
func (c Connection) place() string { return c.Acquirer + " " + c.Credentials["gateway"] }
