package tasks_test

import (
	"cmp"
	"context"
	"errors"
	"strconv"
	"sync"

	"github.com/dealpay/dealpay/crm"
)

// book is a CRM account in memory. It keeps what it is told also when the answer gets lost, and counts how it was called.
type book struct {
	mu     sync.Mutex
	serial int
	fields map[string]crm.State
	notes  map[string][]line
	tasks  map[string][]line
	stages map[string]string // of deals, in pipeline "0"
	moved  map[string]string // pipelines of deals that are in another one

	calls, writes, reads int
	active, most, widest int // calls at once; changes in a call

	hidden  error                  // what reading answers
	unheard bool                   // what a verdict loses was not done yet
	verdict func(crm.Change) error // of a change; an ambiguous one is lost after it was done
	during  func()                 // called in the middle of every Apply
}

// line is a note or a task.
type line struct {
	id, reference string
	done          bool
}

func newBook() *book {
	return &book{fields: map[string]crm.State{}, notes: map[string][]line{}, tasks: map[string][]line{}, stages: map[string]string{}, moved: map[string]string{}}
}

// set changes how the book answers.
func (b *book) set(verdict func(crm.Change) error, during func()) {
	b.mu.Lock()
	b.verdict, b.during = verdict, during
	b.mu.Unlock()
}

// hide makes reading fail.
func (b *book) hide(why error) {
	b.mu.Lock()
	b.hidden = why
	b.mu.Unlock()
}

// Apply does what is asked, unless verdict refuses.
func (b *book) Apply(_ context.Context, changes []crm.Change) []crm.Verdict {
	b.mu.Lock()
	b.calls++
	b.active++
	b.most, b.widest = max(b.most, b.active), max(b.widest, len(changes))
	during := b.during
	b.mu.Unlock()
	if during != nil {
		during()
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.active--
	verdicts := make([]crm.Verdict, len(changes))
	for i, c := range changes {
		var err error
		if b.verdict != nil {
			err = b.verdict(c)
		}
		var e *crm.Error
		if lost := errors.As(err, &e) && e.Ambiguous && !b.unheard; err == nil || lost {
			verdicts[i].RemoteID = b.do(c)
		}
		if verdicts[i].Err = err; err != nil {
			verdicts[i].RemoteID = ""
		}
	}
	return verdicts
}

func (b *book) do(c crm.Change) string {
	if c.State != nil {
		b.writes++
		b.fields[c.Deal] = *c.State
		if c.State.Stage != "" {
			b.stages[c.Deal] = c.State.Stage
		}
		return ""
	}
	if c.Effect.Kind == crm.CloseTask {
		for i := range b.tasks[c.Deal] {
			t := &b.tasks[c.Deal][i]
			t.done = t.done || t.id == c.Effect.RemoteID
		}
		return c.Effect.RemoteID
	}
	lines := b.notes
	if c.Effect.Kind == crm.Task {
		lines = b.tasks
	}
	if c.Effect.Ambiguous {
		for _, l := range lines[c.Deal] {
			if l.reference == c.Effect.Reference {
				return l.id
			}
		}
	}
	b.serial++
	id := strconv.Itoa(b.serial)
	lines[c.Deal] = append(lines[c.Deal], line{id: id, reference: c.Effect.Reference})
	return id
}

// noted counts the deal's notes.
func (b *book) noted(deal string) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.notes[deal])
}

// status is what the deal's field holds.
func (b *book) status(deal string) crm.Status {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.fields[deal].Status
}

func (b *book) counts() (calls, writes, reads int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.calls, b.writes, b.reads
}

// Deal reads one deal.
func (b *book) Deal(_ context.Context, id string) (crm.Deal, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.reads++
	if b.hidden != nil {
		return crm.Deal{}, b.hidden
	}
	pipeline := cmp.Or(b.moved[id], "0")
	written := b.fields[id]
	written.Pipeline = pipeline
	return crm.Deal{ID: id, Pipeline: pipeline, Stage: b.stages[id], Closed: b.stages[id] == "LOST" || b.stages[id] == "WON", Written: written}, nil
}

// Deals reads many in one request.
func (b *book) Deals(ctx context.Context, ids []string) (map[string]crm.Deal, error) {
	all := map[string]crm.Deal{}
	for _, id := range ids {
		deal, err := b.Deal(ctx, id)
		if err != nil {
			return nil, err
		}
		all[id] = deal
	}
	b.mu.Lock()
	b.reads -= len(ids) - 1
	b.mu.Unlock()
	return all, nil
}

// Pipelines, Setup and Leave have nothing to do.
func (b *book) Pipelines(context.Context) ([]crm.Pipeline, error) { return nil, nil }
func (b *book) Setup(context.Context) (crm.Layout, error)         { return nil, nil }
func (b *book) Leave(context.Context) error                       { return nil }

func failing(class crm.Class, ambiguous bool) *crm.Error {
	return &crm.Error{Class: class, Op: "test", Code: "TEST", Ambiguous: ambiguous, Err: errors.New("told to fail")}
}
