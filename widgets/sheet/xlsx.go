package sheet

import (
	"errors"
	"io"
	"strconv"
	"time"

	"github.com/dealpay/dealpay/payments/state"
	"github.com/xuri/excelize/v2"
)

// ErrTooLong is returned for a table with more rows than a worksheet can hold.
var ErrTooLong = errors.New("sheet: more rows than a worksheet holds")

// maxRows is Excel's.
const maxRows = 1_048_576

type workbook struct {
	file   *excelize.File
	stream *excelize.StreamWriter
	out    io.Writer
	zone   *time.Location
	row    int
	styles map[string]int
}

// XLSX writes a workbook of one worksheet, times in zone. Nothing is written to w before Close: until then rows are in
// memory up to 16 MiB, and in a temporary file beyond. Rows beyond Excel's limit are ErrTooLong.
func XLSX(w io.Writer, name string, zone *time.Location) (Writer, error) {
	b := &workbook{file: excelize.NewFile(), out: w, zone: zone, styles: map[string]int{}}
	err := b.file.SetSheetName(b.file.GetSheetName(0), name)
	if err == nil {
		b.stream, err = b.file.NewStreamWriter(name)
	}
	return b, err
}

func (b *workbook) Row(cells ...Cell) error {
	if b.row == maxRows {
		return ErrTooLong
	}
	b.row++
	values := make([]any, len(cells))
	for i, c := range cells {
		value, err := b.value(c)
		if err != nil {
			return err
		}
		values[i] = value
	}
	first, err := excelize.CoordinatesToCellName(1, b.row)
	if err != nil {
		return err
	}
	return b.stream.SetRow(first, values)
}

func (b *workbook) value(c Cell) (any, error) {
	switch {
	case c.money != nil:
		// A worksheet's number is decimal text, which the library takes as a float only. Amounts are bounded by
		// state.MaxMinor and sums of them by far less than 15 digits, which survive the way there unchanged.
		number, err := strconv.ParseFloat(c.money.Decimal(), 64)
		if err != nil {
			return nil, err
		}
		exponent, known := state.Exponent(c.money.Currency)
		if !known {
			exponent = 2
		}
		return b.styled([]string{"#,##0", "", "#,##0.00", "#,##0.000"}[exponent], number)
	case c.when.IsZero():
		return c.text, nil
	case c.day:
		return b.styled("yyyy-mm-dd", c.when.UTC())
	}
	return b.styled("yyyy-mm-dd hh:mm:ss", c.when.In(b.zone))
}

func (b *workbook) styled(format string, value any) (any, error) {
	style, ok := b.styles[format]
	if !ok {
		var err error
		if style, err = b.file.NewStyle(&excelize.Style{CustomNumFmt: &format}); err != nil {
			return nil, err
		}
		b.styles[format] = style
	}
	return excelize.Cell{StyleID: style, Value: value}, nil
}

func (b *workbook) Close() error {
	err := b.stream.Flush()
	if err == nil {
		_, err = b.file.WriteTo(b.out)
	}
	return errors.Join(err, b.file.Close())
}

func (b *workbook) Discard() { _ = b.file.Close() }
