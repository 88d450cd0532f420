//! Clients that hold on to what they get: slow ones, idle ones, very many.
