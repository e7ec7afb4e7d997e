package ring_test

import (
	"fmt"

	"github.com/kongring/kongring/ring"
)

func Example() {
	mem := make([]byte, ring.Size(64<<10)) // or memory that two processes share
	if err := ring.Format(mem); err != nil {
		panic(err)
	}
	producer, _ := ring.NewProducer(mem)
	consumer, _ := ring.NewConsumer(mem)

	if ok, err := producer.Write([]byte("hello"), false); err != nil || !ok {
		panic("no room")
	}
	if producer.ClaimWake() {
		fmt.Println("the consumer sleeps: ring its doorbell")
	}
	frame, ok, err := consumer.Read(nil)
	fmt.Println(string(frame.Payload), ok, err)
	// Output: hello true <nil>
}
