package wire

import (
	"encoding/binary"
	"fmt"
)

// AppendHead appends h to b as it stands in a message: little-endian.
func AppendHead(b []byte, h Head) []byte {
	b = append(b, h.Type, h.Code)
	b = binary.LittleEndian.AppendUint16(b, h.Slot)
	b = binary.LittleEndian.AppendUint32(b, h.Generation)
	return binary.LittleEndian.AppendUint32(b, h.Arg)
}

// ReadHead takes the head off a message and gives the body behind it. The
// error names the length of a message that is too short to have one.
func ReadHead(b []byte) (Head, []byte, error) {
	if len(b) < HeadSize {
		return Head{}, nil, fmt.Errorf("message of %d bytes is shorter than its head of %d", len(b), HeadSize)
	}
	return Head{
		Type: b[0], Code: b[1],
		Slot:       binary.LittleEndian.Uint16(b[2:]),
		Generation: binary.LittleEndian.Uint32(b[4:]),
		Arg:        binary.LittleEndian.Uint32(b[8:]),
	}, b[HeadSize:], nil
}
