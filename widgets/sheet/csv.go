package sheet

import (
	"encoding/csv"
	"io"
	"strings"
	"time"
)

// dialect is how a CSV is read on the other side.
type dialect struct {
	day, time string // layouts
	zone      *time.Location
	comma     bool // in amounts
}

type rows struct {
	csv *csv.Writer
	dialect
	bom io.Writer // still to be written there
}

// CSV writes RFC 4180: commas, decimal points, ISO dates, times in UTC.
func CSV(w io.Writer) Writer {
	return &rows{csv: csv.NewWriter(w), dialect: dialect{day: time.DateOnly, time: time.RFC3339, zone: time.UTC}}
}

// OneC writes what 1C and a Russian Excel open without asking: a byte order mark, semicolons, decimal commas, dates as
// dd.mm.yyyy, times in zone.
func OneC(w io.Writer, zone *time.Location) Writer {
	r := &rows{csv: csv.NewWriter(w), bom: w, dialect: dialect{day: "02.01.2006", time: "02.01.2006 15:04:05", zone: zone, comma: true}}
	r.csv.Comma, r.csv.UseCRLF = ';', true
	return r
}

func (r *rows) Row(cells ...Cell) error {
	if r.bom != nil {
		if _, err := r.bom.Write([]byte("\uFEFF")); err != nil {
			return err
		}
		r.bom = nil
	}
	fields := make([]string, len(cells))
	for i, c := range cells {
		fields[i] = r.field(c)
	}
	return r.csv.Write(fields)
}

func (r *rows) field(c Cell) string {
	switch {
	case c.money != nil && r.comma:
		return strings.Replace(c.money.Decimal(), ".", ",", 1)
	case c.money != nil:
		return c.money.Decimal()
	case c.when.IsZero():
		return guarded(c.text)
	case c.day:
		return c.when.Format(r.day)
	}
	return c.when.In(r.zone).Format(r.time)
}

func (r *rows) Close() error {
	r.csv.Flush()
	return r.csv.Error()
}

func (r *rows) Discard() {}
