package amotest

import (
	"fmt"
	"reflect"

	"github.com/google/uuid"
)

// commit puts changed leads into place, writes the audit and announces what happened: a stage
// move is announced as status and as update, a new owner as responsible and as update.
func (a *Account) commit(changes []change) {
	var added, updated, moved, handed []change
	for _, ch := range changes {
		l := ch.after
		l.updatedAt = a.now().Unix()
		if closed := l.status == statusWon || l.status == statusLost; !closed {
			l.closedAt = 0
		} else if l.closedAt == 0 {
			l.closedAt = l.updatedAt
		}
		a.store(l)
		if ch.before == nil {
			added = append(added, ch)
			a.record("lead_added", l, nil, nil)
			continue
		}
		updated = append(updated, ch)
		if a.moved(ch) {
			moved = append(moved, ch)
		}
		if ch.before.responsible != l.responsible {
			handed = append(handed, ch)
		}
		a.audit(ch)
	}
	a.announce("add", added)
	a.announce("status", moved)
	a.announce("responsible", handed)
	a.announce("update", updated)
	for _, ch := range moved {
		a.trigger(ch)
	}
}

func (a *Account) store(l *lead) {
	for i, old := range a.leads {
		if old.id == l.id {
			a.leads[i] = l
			return
		}
	}
	a.leads = append(a.leads, l)
}

func (a *Account) moved(ch change) bool {
	return ch.before.status != ch.after.status || ch.before.pipeline != ch.after.pipeline
}

func (a *Account) audit(ch change) {
	stage := func(l *lead) []any {
		return []any{map[string]any{"lead_status": map[string]any{"id": l.status, "pipeline_id": l.pipeline}}}
	}
	if a.moved(ch) {
		a.record("lead_status_changed", ch.after, stage(ch.before), stage(ch.after))
	}
	if ch.before.minor != ch.after.minor {
		sale := func(l *lead) []any {
			return []any{map[string]any{"sale_field_value": map[string]any{"sale": l.minor / 100}}}
		}
		a.record("sale_field_changed", ch.after, sale(ch.before), sale(ch.after))
	}
	for _, f := range a.fields {
		if !reflect.DeepEqual(ch.before.values[f.id], ch.after.values[f.id]) {
			a.record(fmt.Sprintf("custom_field_%d_value_changed", f.id), ch.after, nil, nil)
		}
	}
}

func (a *Account) record(kind string, l *lead, before, after []any) {
	id := uuid.New()
	a.events = append(a.events, event{id: fmt.Sprintf("%x", id[:13]), kind: kind, lead: l.id, by: l.updatedBy,
		at: l.updatedAt, before: before, after: after})
}
